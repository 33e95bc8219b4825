r"""Swapped attributes, swapped objects and swapped ends of relations: and who notices.

    python research/swaps_study.py --features FEATURES --split val  -o out/swaps
    python research/swaps_study.py --features FEATURES --split test -o out/swaps
    python research/swaps_study.py --sugarcrepe DIR --images DIR    -o out/swaps

The negatives are made by `crossrank_graphs.edits` from the split's captions, those whose swapped
words are of one class first.  Each system scores a picture with its caption and with the swapped
one; strict inequalities count, six decimals.  ``val`` chooses one setting of ``graph`` and one of
``graph`` with ``cora`` over base + filip (``chosen.json``); ``test`` and SugarCrepe take these,
with every reranker by itself, with ablations, and with swapped objects apart by what could tell
them from their own.  ``--cora NAME=FILE`` adds networks, such as one trained with changed captions.
``SPLIT.items.jsonl`` holds every item, ``SPLIT.json`` and ``SPLIT.md`` the figures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.encoders import as_encoder
from crossrank_bench import Benchmark, BenchResult, Case, read_benchmark, result_of
from crossrank_bench.pictures import Shot
from crossrank_bench.scoring import Sides, encoded
from crossrank_graph.scenes import vertical
from crossrank_graphs import Edit, Graph, edits, parse, with_graphs

Floats = NDArray[np.float64]
KINDS = ("swap_attributes", "swap_objects", "swap_ends")
MOST = {"swap_attributes": 500, "swap_objects": 700, "swap_ends": 500}
FILIP = 1.25
DIGITS = 6
ALONE = ("filip", "mack", "hosa", "cprd", "lite_itm", "adamatch", "graph", "cora", "cola")
GRAPH = {"relations": 0.0}
"""Relations as phrases tell nothing of these swaps: base + filip sees as much in them."""
WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
OF_PICTURES = ("embedding", "tokens", "token_boxes", "regions")
OF_TEXTS = ("embedding", "tokens", "words", "token_text")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path)
    arguments.add_argument("--split", choices=["val", "test"], default="val")
    arguments.add_argument("--sugarcrepe", type=Path, help="its folder, instead of swaps")
    arguments.add_argument("--images", type=Path, help="the pictures of SugarCrepe")
    arguments.add_argument("--cora", nargs="*", default=[], metavar="NAME=FILE")
    arguments.add_argument("--alone", nargs="*", default=ALONE, help="rerankers by themselves")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    networks: dict[str, dict[str, Any]] = {"cora": {}}
    networks |= {
        name: {"weights": file} for name, _, file in (c.partition("=") for c in given.cora)
    }
    rows = [cr.Stage(name) for name in given.alone]
    if given.sugarcrepe is None:
        name = given.split
        folder = given.features / name
        texts = with_graphs(cr.Collection.open(folder / "texts"))
        images = cr.Collection.open(folder / "images")
        regions = cr.Collection.open(folder / "regions")["regions"]
        made = swaps(texts, images, given.output / f"{name}.items.jsonl")
        encoded_to = given.output / f"{name}.encoded"
        sides = sides_of(made.benchmark, texts, images.with_features(regions=regions), encoded_to)
    else:
        name = "sugarcrepe"
        benchmark = read_benchmark(name, given.sugarcrepe).with_pictures([given.images])
        made = Made(benchmark, {})
        sides = encoded(benchmark, as_encoder("lite", {}), rows, None)
    scorer = Scorer(made.benchmark, sides, given.output / "cache")
    if name == "val":
        chosen = {
            network: choose(scorer, made.benchmark, params) for network, params in networks.items()
        }
        (given.output / "chosen.json").write_text(json.dumps(chosen, indent=1), encoding="utf-8")
    elif not (given.output / "chosen.json").exists():
        raise SystemExit(f"{given.output} has no chosen.json; run --split val with this -o first")
    chosen = json.loads((given.output / "chosen.json").read_text(encoding="utf-8"))
    systems = {title: scorer.of(stages) for title, stages in roads(chosen, networks, rows).items()}
    results = [result_of(made.benchmark, systems)]
    if made.grounds:
        results.append(apart(made, systems))
    told = {"chosen": chosen, "rows": [row for each in results for row in each.to_dict()["rows"]]}
    (given.output / f"{name}.json").write_text(json.dumps(told, indent=1), encoding="utf-8")
    text = "\n".join(table(each) for each in results)
    (given.output / f"{name}.md").write_text(text, encoding="utf-8")
    print(json.dumps(chosen), text, sep="\n")


Road = Sequence[tuple[cr.Stage, float | None]]
"""Stages, each with its weight; None replaces what was there."""


def roads(
    chosen: Mapping[str, Any], networks: Mapping[str, Any], alone: Sequence[cr.Stage]
) -> dict[str, Road]:
    """Return the systems by name, that which the others are held against first."""
    before: Road = [(cr.Stage("filip"), FILIP)]

    def graph(**params: Any) -> tuple[cr.Stage, float]:
        return cr.Stage("graph", params=GRAPH | params), weight

    weight = chosen["cora"]["graph alone"]
    found: dict[str, Road] = {"base + filip": before, "base": []}
    found |= {stage.name: [(stage, None)] for stage in alone}
    for name, params in networks.items():
        cora = cr.Stage("cora", params=params)
        if name != "cora":
            found[name] = [(cora, None)]
        both = chosen[name]
        found[f"+ {name} ({both['cora alone']:g})"] = [*before, (cora, both["cora alone"])]
        found[f"+ graph ({both['graph']:g}) + {name} ({both['cora']:g})"] = [
            *before,
            (cr.Stage("graph", params=GRAPH), both["graph"]),
            (cora, both["cora"]),
        ]
    ours = f"+ graph ({weight:g})"
    return found | {
        ours: [*before, graph()],
        f"{ours}, without binding": [*before, graph(binding=False)],
        f"{ours}, without order": [*before, graph(order=0.0)],
        f"{ours}, without reference": [*before, graph(reference=None)],
        f"{ours}, with relations": [*before, graph(relations=0.5)],
    }


def choose(scorer: Scorer, benchmark: Benchmark, cora: Mapping[str, Any]) -> dict[str, float]:
    """Return the weights with the best sum of swapped attributes and swapped objects."""
    stages = cr.Stage("graph", params=GRAPH), cr.Stage("cora", params=cora)

    def right(weights: tuple[float, float]) -> float:
        before = (cr.Stage("filip"), FILIP)
        scores = scorer.of([before, *zip(stages, weights, strict=True)])
        result = result_of(benchmark, {"it": scores}, resamples=0)
        return sum(result.row(kind).value for kind in KINDS[:2])

    graph, both = max(itertools.product(WEIGHTS, WEIGHTS), key=right)
    return {
        "graph": graph,
        "cora": both,
        "graph alone": max(WEIGHTS[1:], key=lambda weight: right((weight, 0.0))),
        "cora alone": max(WEIGHTS[1:], key=lambda weight: right((0.0, weight))),
    }


class Scorer:
    """Raw scores of every pair of a benchmark, by stage, and what becomes of them together.

    Parameters
    ----------
    benchmark, sides
        The cases, and what they compare.
    cache
        A folder for what rerankers prepare.
    """

    def __init__(self, benchmark: Benchmark, sides: Sides, cache: Path) -> None:
        self.benchmark, self.sides, self.cache = benchmark, sides, cache
        self.pairs = {pair: place for place, pair in enumerate(benchmark.pairs())}
        lists: dict[str, list[str]] = {id: [] for id in sides.texts.ids}
        for image, text in self.pairs:
            lists[str(text)].append(str(image))
        self.lists = lists
        rows = [(sides.images.row(str(i)), sides.texts.row(str(t))) for i, t in self.pairs]
        ours, theirs = np.array(rows).T
        of_images, of_texts = (
            np.asarray(each["embedding"], np.float64) for each in (sides.images, sides.texts)
        )
        self.base: Floats = (of_images[ours] * of_texts[theirs]).sum(axis=1)
        self._raw: dict[str, Floats] = {}

    def raw(self, stage: cr.Stage) -> Floats:
        """Return a stage's score of every pair, NaN where it abstained."""
        key = f"{stage.name} {stage.scorer.fingerprint()}"
        if key not in self._raw:
            candidates = cr.Candidates.from_lists(
                self.lists,
                query_ids=self.sides.texts.ids,
                candidate_ids=self.sides.images.ids,
            )
            alone = cr.Stage(stage.name, fusion=cr.Replace(), params=stage.params)
            rankings = cr.Pipeline([alone]).rerank(
                candidates, self.sides.texts, self.sides.images, cache_folder=self.cache
            )
            found = np.full(len(self.pairs), np.nan)
            for text, ranking in rankings.items():
                for hit in ranking:
                    score = hit.trace[-1].score
                    if score is not None:
                        found[self.pairs[int(hit.id), int(text)]] = score
            self._raw[key] = found
        return self._raw[key]

    def of(self, road: Road) -> list[Floats]:
        """Return the scores of every case: sums of z-scores over all pairs.

        Lists of two have no deviation worth the name, so that of the run takes its place.
        """
        scores: Floats = self.base
        for stage, weight in road:
            raw = self.raw(stage)
            scores = raw if weight is None else zscores(scores) + weight * zscores(raw)
        scores = np.nan_to_num(scores).round(DIGITS)
        return [
            np.array([[scores[self.pairs[i, t]] for t in case.texts] for i in case.images])
            for case in self.benchmark.cases
        ]


def zscores(scores: Floats) -> Floats:
    """Return z-scores; where a stage abstained, 0."""
    found: Floats = np.nan_to_num((scores - np.nanmean(scores)) / np.nanstd(scores))
    return found


@dataclass(frozen=True, slots=True)
class Made:
    """The cases, and of swapped objects what there is to tell them by."""

    benchmark: Benchmark
    grounds: Mapping[str, str]


def swaps(texts: cr.Collection, images: cr.Collection, items: Path) -> Made:
    """Return the cases, and write them."""
    sentences = [str(text) for text in texts["text"]]
    graphs = [Graph.from_dict(entry) for entry in texts["graph"]]
    rows = {id: row for row, id in enumerate(images.ids)}
    places = {text: place for place, text in enumerate(dict.fromkeys(sentences))}
    cases, grounds = [], {}
    with items.open("w", encoding="utf-8") as file:
        for kind in KINDS:
            for row, edit in chosen_edits(graphs, kind):
                image = texts.ids[row].rpartition("#")[0]
                negative = places.setdefault(edit.text, len(places))
                case = f"{kind}:{texts.ids[row]}"
                own = places[sentences[row]]
                cases.append(Case(case, kind, (rows[image],), (own, negative)))
                if kind == "swap_objects":
                    grounds[case] = ground(graphs[row], edit)
                line: dict[str, Any] = {"kind": kind, "image": image, "caption": sentences[row]}
                line |= {"negative": edit.text, "ground": grounds.get(case)}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    shots = tuple(Shot(id) for id in images.ids)
    return Made(Benchmark("swaps", "choice", shots, tuple(places), tuple(cases)), grounds)


def ground(graph: Graph, edit: Edit) -> str:
    """Return what, besides the order of words, tells a caption from that with swapped objects."""
    pairs = zip(graph.objects, edit.graph.objects, strict=True)
    one, other = (old for old, new in pairs if old.name != new.name)
    if set(one.attributes) != set(other.attributes):
        return "objects: attributes" + (" of both" if one.attributes and other.attributes else "")
    swapped = {one.index, other.index}
    related = [r for r in graph.relations if swapped & {r.subject.index, r.object.index}]
    if any(vertical(relation.predicate) for relation in related):
        return "objects: above or below"
    return "objects: another relation" if related else "objects: nothing"


def apart(made: Made, systems: Mapping[str, list[Floats]]) -> BenchResult:
    """Return the figures of swapped objects by what there is to tell them by."""
    some = [k for k, case in enumerate(made.benchmark.cases) if case.id in made.grounds]
    cases = [made.benchmark.cases[k] for k in some]
    named = tuple(replace(case, category=made.grounds[case.id]) for case in cases)
    scores = {name: [found[k] for k in some] for name, found in systems.items()}
    return result_of(replace(made.benchmark, cases=named), scores)


def table(result: BenchResult) -> str:
    """Return accuracies as Markdown, with gains over the first system and ties."""
    categories = list(dict.fromkeys(row.category for row in result.rows))
    sizes = {row.category: row.items for row in result.rows}
    titles = [f"{name.removeprefix('objects: ')} ({sizes[name]})" for name in categories]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for system in result.systems:
        cells = [system]
        for name in categories:
            row = result.row(name, system=system)
            told = [] if row.p is None or row.p >= 0.05 else [f"{row.gain:+.1f}, p {row.p:.4f}"]
            told += [f"{row.ties} ties"] if row.ties else []
            cells.append(f"{row.value:.1f}" + (f" ({'; '.join(told)})" if told else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def chosen_edits(graphs: list[Graph], kind: str) -> Iterator[tuple[int, Edit]]:
    """Yield at most so many edits of a kind, one of each caption and likely ones first."""
    taken: dict[int, Edit] = {}
    order = list(range(len(graphs)))
    random.Random(0).shuffle(order)
    for alike in (True, False):
        for row in order:
            if len(taken) < MOST[kind] and row not in taken:
                several = list(edits(graphs[row], [kind], alike))
                if several:
                    taken[row] = random.Random(row).choice(several)
    yield from sorted(taken.items())


def sides_of(
    benchmark: Benchmark, texts: cr.Collection, images: cr.Collection, folder: Path
) -> Sides:
    """Return the collections of the cases; negatives are encoded once, the rest is there."""
    rows = {str(text): row for row, text in enumerate(texts["text"])}
    own = sorted({case.texts[0] for case in benchmark.cases})
    changed = sorted({case.texts[1] for case in benchmark.cases} - set(own))
    if not folder.is_dir():
        items = [cr.Item(str(place), benchmark.texts[place]) for place in changed]
        cr.encode("lite", items, modality="text", features=OF_TEXTS, out=folder)
    made = cr.Collection.open(folder)
    known = texts.take([rows[benchmark.texts[place]] for place in own])
    shown = sorted({image for case in benchmark.cases for image in case.images})
    pictures = images.take(shown)
    of_pictures = {name: pictures[name] for name in OF_PICTURES}
    return Sides(
        cr.Collection(map(str, shown), "image", encoder=images.encoder, **of_pictures),
        joined(known, made, [*map(str, own), *made.ids]),
    )


def joined(known: cr.Collection, made: cr.Collection, ids: list[str]) -> cr.Collection:
    """Return some of the split's texts with those that were made, under new ids."""
    features: dict[str, Any] = {
        "embedding": np.concatenate([known["embedding"], made["embedding"]]),
        "token_text": [*known["token_text"], *made["token_text"]],
        "graph": [
            *known["graph"],
            *(each.to_dict() for each in parse(list(map(str, made["text"])))),
        ],
        "text": [*map(str, known["text"]), *map(str, made["text"])],
    }
    for name in ("tokens", "words"):
        parts = known[name], made[name]
        flat = np.concatenate([np.asarray(each.flat, np.float32) for each in parts])
        features[name] = cr.Ragged(flat, np.concatenate([each.lengths for each in parts]))
    return cr.Collection(ids, "text", encoder=made.encoder).with_features(**features)


if __name__ == "__main__":
    main()
