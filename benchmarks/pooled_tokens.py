"""What pooled and binary tokens lose: MaxSim over the first 100 of the cosine of embeddings.

    python benchmarks/pooled_tokens.py --work WORK [--split test]

WORK holds ``<split>/images`` and ``<split>/texts`` with embeddings and tokens, five texts a picture
in their order, and ``<split>/qrels.t2i.txt``; the first text of each picture asks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.evaluation import read_qrels
from crossrank_multivector import BinaryTokens, shortlist, ward_pooled

DEPTH, CAPTIONS = 100, 5
METRICS = ("R@1", "R@5", "R@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--factors", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--keep", type=int, nargs="+", default=[20])
    given = parser.parse_args()
    folder = given.work / given.split
    images, texts = (read(folder / side) for side in ("images", "texts"))
    texts = texts.take(np.arange(0, len(texts), CAPTIONS))
    judged = read_qrels(folder / "qrels.t2i.txt")
    qrels = {id: judged[id] for id in texts.ids}
    base = cr.search(texts, images, depth=DEPTH)
    stage = cr.Stage("filip", fusion=cr.Replace(), params={"aggregate": "sum"})
    systems: dict[str, Any] = {"exact": cr.Pipeline(stage).rerank(base, texts, images)}
    for factor in given.factors:
        fewer = images.with_features(tokens=ward_pooled(images["tokens"], factor))
        systems[f"1/{factor} of the tokens"] = cr.Pipeline(stage).rerank(base, texts, fewer)
    signs = BinaryTokens.of(images["tokens"])
    for keep in given.keep:
        short = shortlist(base, texts["tokens"], signs, keep)
        systems[f"signs, {keep} exactly"] = cr.Pipeline(stage).rerank(short, texts, images)
    print(cr.evaluate(systems, qrels, METRICS, baseline="exact"))


def read(folder: Path) -> cr.Collection:
    """Return embeddings and tokens in float32."""
    found = cr.Collection.open(folder)
    tokens = cr.Ragged(np.asarray(found["tokens"].flat, np.float32), found["tokens"].lengths)
    embedding = np.asarray(found["embedding"], np.float32)
    return cr.Collection(found.ids, found.modality, embedding=embedding, tokens=tokens)


if __name__ == "__main__":
    main()
