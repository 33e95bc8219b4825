"""Hubness corrections on Flickr8k: tuned on val, reported on test, both directions.

    python research/hubness_study.py --features FEATURES -o docs/studies/hubness_flickr8k.md

FEATURES holds ``train``, ``val`` and ``test``, each with the collections ``images``, ``regions``
and ``texts`` of ``lite`` (`examples/prepare_flickr8k.py` and ``crossrank encode`` make them).  The
banks are the train split's: captions for t2i, pictures for i2t.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_hubness import csls, dn, dsl, dualis, invsoftmax, nnn, qbnorm, sinkhorn

Floats = NDArray[np.float64]
HEAD = """# Hubness corrections on Flickr8k

Made by `python research/hubness_study.py`; what it measures stands in
[hubness.md](../hubness.md#what-it-buys).
"""
CAPTIONS = 5
METRICS = ("R@1", "R@5", "R@10", "MRR")
K = (8, 16, 32, 64, 128, 256)
BETA = (5.0, 10.0, 20.0, 40.0)


@dataclass(frozen=True, slots=True)
class Side:
    """One direction of a split: its embeddings, and the similarities of all with the gallery."""

    queries: Floats
    gallery: Floats
    bank: Floats
    gallery_bank: Floats
    s: Floats
    s_bank: Floats
    s_gallery_bank: Floats


def methods() -> dict[str, tuple[Callable[..., Floats], Mapping[str, tuple[Any, ...]]]]:
    """Return per name the correction of a side, and the settings that are tried."""
    return {
        "nnn": (
            lambda side, k, alpha: nnn(side.s, side.s_bank, k, alpha),
            {"k": K, "alpha": (0.25, 0.5, 0.75, 1.0)},
        ),
        "csls": (lambda side, k: csls(side.s, side.s_bank, k), {"k": K}),
        "invsoftmax": (lambda side, beta: invsoftmax(side.s, side.s_bank, beta), {"beta": BETA}),
        "qbnorm": (
            lambda side, beta, k: qbnorm(side.s, side.s_bank, beta, k),
            {"beta": BETA, "k": (1, 5)},
        ),
        "dualis": (
            lambda side, beta1, beta2: dualis(
                side.s, side.s_bank, side.s_gallery_bank, beta1, beta2
            ),
            {"beta1": BETA, "beta2": BETA},
        ),
        "dn": (
            lambda side: dn(
                side.queries, side.gallery, side.bank.mean(axis=0), side.gallery_bank.mean(axis=0)
            ),
            {},
        ),
        "dsl": (lambda side, beta: dsl(side.s, beta), {"beta": BETA}),
        "sinkhorn": (
            lambda side, temperature: sinkhorn(side.s, temperature),
            {"temperature": (0.02, 0.03, 0.05, 0.08)},
        ),
    }


TRANSDUCTIVE = ("dsl", "sinkhorn", "kreciprocal")
RECIPROCAL = {"k1": (10, 20), "k2": (1, 6), "mix": (0.3, 0.5, 0.7)}
DEPTH = 100


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    lines = [HEAD]
    for direction in ("t2i", "i2t"):
        tables, correction = alone(given.features, direction)
        lines += tables + fused(given.features, direction, correction)
    given.output.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def alone(features: Path, direction: str) -> tuple[list[str], dict[str, Any]]:
    """Tune every correction on val over the whole gallery, and report it on test.

    Returns the tables, and what val chose for ``nnn``.
    """
    val, test = (side(features, split, direction) for split in ("val", "test"))
    matrices, chosen = {"base": test.s}, {"base": ""}
    correction: dict[str, Any] = {}
    for name, (correct, grid) in methods().items():
        best = max(settings(grid), key=lambda each: first_hits(correct(val, **each), direction))
        matrices[name] = correct(test, **best)
        if name == "nnn":
            correction = best
        chosen[name] = ", ".join(f"{key} {value:g}" for key, value in best.items())
        print(direction, name, chosen[name], flush=True)
    matrices["kreciprocal"], chosen["kreciprocal"] = reciprocal(features, direction)
    tables = [f"## {direction}, over the whole gallery", ""]
    for title, names in (
        ("A bank of the train split", [n for n in matrices if n not in TRANSDUCTIVE]),
        ("Looks at the other queries", ["base", *TRANSDUCTIVE]),
    ):
        shown = {name: as_images(matrices[name], direction) for name in names}
        tables += [f"{title}:", "", *table(evaluated(shown, direction), chosen), ""]
    return tables, correction


def reciprocal(features: Path, direction: str) -> tuple[Floats, str]:
    """Tune ``kreciprocal`` over the first hundred on val, and return its matrix on test.

    Its graph is the paper's, of all queries and the gallery; what is not among the first hundred
    stays behind them.
    """
    found: dict[str, Callable[..., Floats]] = {}
    for split in ("val", "test"):
        queries, gallery, _ = collections(features, split, direction)
        base = cr.search(queries, gallery, depth=DEPTH)

        def matrix(
            queries: cr.Collection = queries,
            gallery: cr.Collection = gallery,
            base: cr.Candidates = base,
            **chosen: Any,
        ) -> Floats:
            stage = cr.Stage("kreciprocal", fusion=cr.Replace(), params=chosen)
            scores = np.full((len(queries), len(gallery)), -2.0)
            for query, ranking in cr.Pipeline(stage).rerank(base, queries, gallery).items():
                rows = gallery.rows([hit.id for hit in ranking])
                scores[queries.row(query), rows] = [hit.score for hit in ranking]
            return scores

        found[split] = matrix
    tried = list(settings(RECIPROCAL))
    best = max(tried, key=lambda each: first_hits(found["val"](**each), direction))
    said = ", ".join(f"{key} {value:g}" for key, value in best.items())
    print(direction, "kreciprocal", said, flush=True)
    return found["test"](**best), f"{said}; the first {DEPTH}"


def fused(features: Path, direction: str, correction: Mapping[str, Any]) -> list[str]:
    """Tune filip and lite_itm over the plain and over the corrected base, and report on test."""
    names = ("base + filip", "base + filip + lite_itm")
    systems: dict[str, cr.Rankings] = {}
    chosen: dict[str, str] = {}
    corrections = {"base": None, "nnn": correction}
    for base, given in corrections.items():
        val, test = (corrected(features, split, direction, given) for split in ("val", "test"))
        best: dict[str, Any] = {}
        for stage, name in zip(("filip", "lite_itm"), names, strict=True):
            title = name.replace("base", base)
            tried = []
            for weight in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5):
                setting = {**best, stage: weight}
                rankings = run(features, "val", direction, val, setting)
                tried.append((rankings_at_one(rankings, direction, features, "val"), setting))
            best = max(tried, key=lambda each: each[0])[1]
            systems[title] = run(features, "test", direction, test, best)
            chosen[title] = ", ".join(f"{key} {value:g}" for key, value in best.items())
            print(direction, title, chosen[title], flush=True)
    qrels = judgements(features, "test", direction)
    runs = {name: rankings.to_run() for name, rankings in systems.items()}
    evaluation = cr.evaluate(runs, qrels, METRICS, direction=direction)
    rows = table(evaluation, chosen)
    return [f"## {direction}, fused, against {names[0]}", "", *rows, ""]


def corrected(
    features: Path, split: str, direction: str, correction: Mapping[str, Any] | None
) -> cr.Candidates:
    """Return the first hundred of the base, or of the base that ``nnn`` corrected."""
    queries, gallery, bank = collections(features, split, direction)
    if correction is None:
        return cr.search(queries, gallery, depth=100)
    stage = cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, **correction})
    everything = cr.search(queries, gallery, depth=len(gallery))
    rankings = cr.Pipeline(stage).rerank(everything, queries, gallery, top_k=100)
    return cr.Candidates.from_run(
        rankings.to_run(), query_ids=queries.ids, candidate_ids=gallery.ids
    )


def run(
    features: Path,
    split: str,
    direction: str,
    candidates: cr.Candidates,
    weights: Mapping[str, float],
) -> cr.Rankings:
    """Rerank candidates by filip, and perhaps by lite_itm."""
    queries, gallery, _ = collections(features, split, direction)
    stages = [
        cr.Stage(name, depth=depth, fusion=cr.WeightedSum(weights[name]))
        for name, depth in (("filip", 100), ("lite_itm", 32))
        if name in weights
    ]
    return cr.Pipeline(stages).rerank(candidates, queries, gallery)


def collections(
    features: Path, split: str, direction: str
) -> tuple[cr.Collection, cr.Collection, cr.Collection]:
    """Return queries, gallery and the bank of a direction."""
    asked, listed = ("texts", "images") if direction == "t2i" else ("images", "texts")
    return (
        opened(features / split, asked),
        opened(features / split, listed),
        cr.Collection.open(features / "train" / asked),
    )


def opened(folder: Path, kind: str) -> cr.Collection:
    """Open a collection; the raw cells that ``lite_itm`` reads lie in one of their own."""
    collection = cr.Collection.open(folder / kind)
    if kind == "texts":
        return collection
    return collection.with_features(regions=cr.Collection.open(folder / "regions")["regions"])


def judgements(features: Path, split: str, direction: str) -> dict[str, dict[str, int]]:
    """Return what belongs together: a caption is called by its image and ``#0`` to ``#4``."""
    texts = cr.Collection.open(features / split / "texts").ids
    if direction == "t2i":
        return {text: {text.rpartition("#")[0]: 1} for text in texts}
    found: dict[str, dict[str, int]] = {}
    for text in texts:
        found.setdefault(text.rpartition("#")[0], {})[text] = 1
    return found


def rankings_at_one(rankings: cr.Rankings, direction: str, features: Path, split: str) -> float:
    qrels = judgements(features, split, direction)
    hits = [ranking[0].id in qrels[ranking.query_id] for ranking in rankings.values()]
    return float(np.mean(hits))


def side(features: Path, split: str, direction: str) -> Side:
    """Read the embeddings of a direction."""
    queries, gallery, bank = collections(features, split, direction)
    listed = "images" if direction == "t2i" else "texts"
    gallery_bank = cr.Collection.open(features / "train" / listed)
    vectors = [numbers(each) for each in (queries, gallery, bank, gallery_bank)]
    return Side(*vectors, *(vectors[n] @ vectors[1].T for n in (0, 2, 3)))


def numbers(collection: cr.Collection) -> Floats:
    return np.asarray(collection["embedding"], np.float64)


def settings(grid: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Yield every combination."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def as_images(matrix: Floats, direction: str) -> Floats:
    """Turn ``[queries, candidates]`` into ``[images, texts]``."""
    return matrix.T if direction == "t2i" else matrix


def evaluated(matrices: Mapping[str, Floats], direction: Any) -> cr.Evaluation:
    found: Any = cr.evaluate_matrix(
        matrices, direction, captions_per_image=CAPTIONS, metrics=METRICS
    )
    return found  # type: ignore[no-any-return]


def first_hits(matrix: Floats, direction: str) -> float:
    """Return how many queries find what belongs to them first."""
    best = matrix.argmax(axis=1)
    asked = np.arange(len(matrix))
    own = best == asked // CAPTIONS if direction == "t2i" else best // CAPTIONS == asked
    return float(own.mean())


def table(evaluation: cr.Evaluation, chosen: Mapping[str, str]) -> list[str]:
    """Return a Markdown table of metrics, and of the gain in R@1 with its interval and p."""
    lines = [
        f"| | {' | '.join(METRICS)} | Δ R@1 | 95 % | p | chosen on val |",
        "|---|" + "---|" * (len(METRICS) + 4),
    ]
    for name in evaluation.rows:
        values = " | ".join(
            f"{evaluation[name][each]:.{4 if each == 'MRR' else 2}f}" for each in METRICS
        )
        gain = evaluation.gains.get(name, {}).get("R@1")
        told = "| | |"
        if gain is not None and gain.low is not None:
            told = (
                f"{gain.difference:+.2f} | {gain.low:+.2f} … {gain.high:+.2f} | "
                f"{gain.p_value:.4f} |"
            )
        lines.append(f"| {name} | {values} | {told} {chosen.get(name, '')} |")
    return lines


if __name__ == "__main__":
    main()
