"""Swapped attributes, objects and ends of relations in Flickr8k's captions: and who notices.

    python research/swaps_study.py --features FEATURES --split val  -o out/swaps_val
    python research/swaps_study.py --features FEATURES --split test -o out/swaps_test --weight W
    python research/swaps_study.py --sugarcrepe DIR --images DIR -o out/sugarcrepe --weight W

The negatives are made by `crossrank_graphs.edits` from the split's captions, those whose swapped
words are of one class first.  Each system scores a picture with its caption and with the swapped
one; strict inequalities count.  ``val`` tries several weights of ``graph`` over base + filip;
``test`` takes one, with ablations.  ``items.jsonl`` holds every item, ``result.json`` the figures.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.encoders import as_encoder
from crossrank_bench import Benchmark, Case, read_benchmark, result_of
from crossrank_bench.pictures import Shot
from crossrank_bench.scoring import Sides, encoded, pipeline_scores
from crossrank_graphs import Edit, Graph, edits, parse, with_graphs

KINDS = ("swap_attributes", "swap_objects", "swap_ends")
MOST = {"swap_attributes": 500, "swap_objects": 700, "swap_ends": 500}
FILIP = 1.25


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path)
    arguments.add_argument("--split", choices=["val", "test"], default="val")
    arguments.add_argument("--sugarcrepe", type=Path, help="its folder, instead of swaps")
    arguments.add_argument("--images", type=Path, help="the pictures of SugarCrepe")
    arguments.add_argument("--weight", type=float, help="of graph, chosen on val")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    systems: dict[str, Any] = {}
    tried = roads(given.weight)
    if given.sugarcrepe is None:
        texts = with_graphs(cr.Collection.open(given.features / given.split / "texts"))
        images = cr.Collection.open(given.features / given.split / "images")
        benchmark = swaps(texts, images, given.output)
        sides = sides_of(benchmark, texts, images, given.output)
    else:
        for name in ("lite_itm", "adamatch"):
            tried[name] = [cr.Stage(name, fusion=cr.Replace())]
        benchmark = read_benchmark("sugarcrepe", given.sugarcrepe).with_pictures([given.images])
        stages = [stage for several in tried.values() for stage in several]
        sides = encoded(benchmark, as_encoder("lite", {}), stages, None)
    for name, stages in tried.items():
        found = pipeline_scores(
            benchmark, sides, stages, "t2i", cache_folder=given.output / "cache"
        )
        systems[name] = list(found.values())[-1]
        print(name, flush=True)
    first = {"base+filip": systems.pop("base+filip"), **systems}
    result = result_of(benchmark, first)
    (given.output / "result.json").write_text(json.dumps(result.to_dict(), indent=1))
    for row in result.rows:
        p = "" if row.p is None else f"  {row.gain:+.1f} p {row.p:.4f}"
        print(
            f"{row.system:44s} {row.category:18s} {row.items:5d} {row.value:5.1f} "
            f"({row.low:.1f} … {row.high:.1f}) ties {row.ties}{p}"
        )


def roads(weight: float | None) -> dict[str, list[cr.Stage]]:
    """Return the systems by name."""
    filip = cr.Stage("filip", fusion=cr.WeightedSum(FILIP))

    def graph(by: float, **params: Any) -> cr.Stage:
        return cr.Stage("graph", fusion=cr.WeightedSum(by), params=params)

    found: dict[str, list[cr.Stage]] = {"base+filip": [filip], "base": []}
    if weight is None:
        for by in (1.0, 2.0, 4.0):
            for relations in (0.0, 0.5):
                for order in (0.02, 0.05, 0.1):
                    name = f"base+filip+graph {by:g} relations={relations} order={order}"
                    found[name] = [filip, graph(by, relations=relations, order=order)]
        return found
    chosen = {"relations": 0.0}
    name = f"base+filip+graph {weight:g}"
    return found | {
        "filip": [cr.Stage("filip", fusion=cr.Replace())],
        "graph": [cr.Stage("graph", fusion=cr.Replace(), params=chosen)],
        name: [filip, graph(weight, **chosen)],
        f"{name}, without binding": [filip, graph(weight, binding=False, **chosen)],
        f"{name}, without order": [filip, graph(weight, order=0.0, **chosen)],
        f"{name}, without reference": [filip, graph(weight, reference=None, **chosen)],
        f"{name}, with relations": [filip, graph(weight)],
    }


def swaps(texts: cr.Collection, images: cr.Collection, output: Path) -> Benchmark:
    """Return the cases, and write them."""
    sentences = [str(text) for text in texts["text"]]
    graphs = [Graph.from_dict(entry) for entry in texts["graph"]]
    rows = {id: row for row, id in enumerate(images.ids)}
    places = {text: place for place, text in enumerate(dict.fromkeys(sentences))}
    cases = []
    with (output / "items.jsonl").open("w", encoding="utf-8") as file:
        for kind in KINDS:
            for row, edit in chosen(graphs, kind):
                image = texts.ids[row].rpartition("#")[0]
                negative = places.setdefault(edit.text, len(places))
                own = places[sentences[row]]
                cases.append(
                    Case(f"{kind}:{texts.ids[row]}", kind, (rows[image],), (own, negative))
                )
                line = {"kind": kind, "image": image, "caption": sentences[row]}
                file.write(json.dumps({**line, "negative": edit.text}, ensure_ascii=False) + "\n")
    shots = tuple(Shot(id) for id in images.ids)
    return Benchmark("swaps", "choice", shots, tuple(places), tuple(cases))


def chosen(graphs: list[Graph], kind: str) -> Iterator[tuple[int, Edit]]:
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
    benchmark: Benchmark, texts: cr.Collection, images: cr.Collection, output: Path
) -> Sides:
    """Return the collections of the cases; negatives are encoded, the rest is there."""
    rows = {str(text): row for row, text in enumerate(texts["text"])}
    own = sorted({case.texts[0] for case in benchmark.cases})
    changed = sorted({case.texts[1] for case in benchmark.cases} - set(own))
    folder = output / "encoded"
    if not folder.is_dir():
        items = [cr.Item(str(place), benchmark.texts[place]) for place in changed]
        wanted = ("embedding", "tokens", "token_text")
        cr.encode("lite", items, modality="text", features=wanted, out=folder)
    made = cr.Collection.open(folder)
    known = np.array([rows[benchmark.texts[place]] for place in own])
    read = joined(texts, known, made, [*map(str, own), *made.ids])
    shown = sorted({image for case in benchmark.cases for image in case.images})
    features: Mapping[str, Any] = {
        name: images[name].take(np.array(shown))
        if isinstance(images[name], cr.Ragged)
        else images[name][shown]
        for name in ("embedding", "tokens", "token_boxes")
    }
    pictures = cr.Collection(map(str, shown), "image", encoder=images.encoder, **features)
    return Sides(pictures, read)


def joined(
    texts: cr.Collection, rows: NDArray[np.int64], made: cr.Collection, ids: list[str]
) -> cr.Collection:
    """Return some of the split's texts with those that were made, under new ids."""
    tokens = texts["tokens"].take(rows), made["tokens"]
    flat = np.concatenate([np.asarray(each.flat, np.float32) for each in tokens])
    lengths = np.concatenate([each.lengths for each in tokens])
    features: dict[str, Any] = {
        "embedding": np.concatenate([texts["embedding"][rows], made["embedding"]]),
        "tokens": cr.Ragged(flat, lengths),
        "token_text": [*(texts["token_text"][row] for row in rows), *made["token_text"]],
        "graph": [
            *(texts["graph"][row] for row in rows.tolist()),
            *(graph.to_dict() for graph in parse([str(t) for t in made["text"]])),
        ],
        "text": [*(str(texts["text"][row]) for row in rows), *made["text"]],
    }
    return cr.Collection(ids, "text", encoder=made.encoder).with_features(**features)


if __name__ == "__main__":
    main()
