r"""How far two ways of encoding agree: features side by side, and R@K of both.

    crossrank encode WORK/test/texts.jsonl --features embedding,tokens \
        --param text_dtype=bfloat16 -o other/texts
    python research/feature_agreement.py WORK/test other

A side that OTHER does not have is taken from the first folder, which holds ``images``, ``texts``
and the qrels of both directions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank.evaluation import read_qrels

SIDES = ("images", "texts")
FEATURES = ("embedding", "tokens")
METRICS = ("R@1", "R@5", "R@10")
DEPTH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("one", type=Path)
    parser.add_argument("other", type=Path)
    given = parser.parse_args()
    first = {side: cr.Collection.open(given.one / side) for side in SIDES}
    second = dict(first)
    for side in SIDES:
        if (given.other / side).is_dir():
            second[side] = cr.Collection.open(given.other / side)
            compare(side, first[side], second[side])
    for name, asked, searched in (("t2i", "texts", "images"), ("i2t", "images", "texts")):
        qrels = read_qrels(given.one / f"qrels.{name}.txt")
        runs = {
            f"{which}{stage}": ranked(sides[asked], sides[searched], stage)
            for which, sides in (("one", first), ("other", second))
            for stage in ("", " + filip")
        }
        print(name)
        print(cr.evaluate(runs, qrels, METRICS, baseline="one"))


def ranked(
    queries: cr.Collection, gallery: cr.Collection, stage: str
) -> cr.Candidates | cr.Rankings:
    """Return what the cosine of embeddings finds, reranked or not."""
    base = cr.search(queries, gallery, depth=DEPTH)
    if not stage:
        return base
    return cr.Pipeline("filip").rerank(base, queries, gallery)


def compare(side: str, one: cr.Collection, other: cr.Collection) -> None:
    """Print the largest difference of a number, and the smallest cosine of two rows."""
    if list(one.ids) != list(other.ids):
        raise SystemExit(f"{side}: the two folders hold other items")
    for feature in FEATURES:
        rows = [_rows(each[feature]) for each in (one, other)]
        cosines = np.einsum("nd,nd->n", *rows) / np.prod(
            [np.linalg.norm(each, axis=1) for each in rows], axis=0
        )
        print(
            f"{side} {feature}: {len(rows[0]):,} rows, difference at most "
            f"{np.abs(rows[0] - rows[1]).max():.1e}, cosine at least {cosines.min():.6f}, "
            f"on average {cosines.mean():.6f}"
        )


def _rows(feature: object) -> np.ndarray:
    flat = feature.flat if isinstance(feature, cr.Ragged) else feature
    return np.asarray(flat, np.float32)


if __name__ == "__main__":
    main()
