"""What tokens in fewer bytes cost: recall on real features, bytes, and the time of a run.

    python benchmarks/token_stores.py --work WORK [--splits val test] [--json]

WORK holds ``images_<split>`` and ``words_<split>`` with embeddings and tokens, as `crossrank
encode` makes them, five texts a picture, in the order of the pictures (docs/flickr8k.md).  The
tokens of both sides are stored as each type; filip reranks the first 100 of the cosine of
embeddings.

R@K          both directions, and their sum
changed      largest difference of a raw score from that with float32
bytes        of the tokens of a picture, on disk
seconds      of both reranks, from the files, the smallest of the rounds
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank._items.compact import DTYPES

DEPTH, WEIGHT, CAPTIONS = 100, 1.25, 5
METRICS = ("R@1", "R@5", "R@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--splits", nargs="+", default=["val", "test"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    records = []
    for split in given.splits:
        with tempfile.TemporaryDirectory() as folder:
            records += compare(given.work, split, Path(folder), given.rounds)
    if given.json:
        print(json.dumps(records))
        return
    names = [f"{direction} {metric}" for direction in ("t2i", "i2t") for metric in METRICS]
    print(f"{'':15}" + "".join(f"{name:>10}" for name in (*names, "sum", "changed", "bytes", "s")))
    for row in records:
        print(f"{row['split']:5}{row['dtype']:10}", end="")
        print("".join(f"{row[name]:10.2f}" for name in (*names, "sum")), end="")
        print(f"{row['changed']:10.1e}{row['bytes']:10,.0f}{row['seconds']:10.2f}")


def compare(work: Path, split: str, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Return a record per type of one split."""
    pictures, texts = (cr.Collection.open(work / f"{side}_{split}") for side in ("images", "words"))
    similarity = np.asarray(pictures["embedding"] @ texts["embedding"].T, np.float64)
    sides = {"t2i": (texts, pictures), "i2t": (pictures, texts)}
    first = {
        direction: cr.Candidates.from_similarity(
            similarity, direction, DEPTH, image_ids=pictures.ids, text_ids=texts.ids
        )
        for direction in sides
    }
    records: list[dict[str, Any]] = []
    exact: dict[str, NDArray[Any]] = {}
    for dtype in DTYPES:
        stores = {}
        for side, whole in (("images", pictures), ("words", texts)):
            tokens = cr.Collection(whole.ids, whole.modality, tokens=whole["tokens"])
            tokens.save(folder / f"{side}_{dtype}", dtype={"tokens": dtype})
            stores[whole.modality] = cr.Collection.open(folder / f"{side}_{dtype}")
        record: dict[str, Any] = {"split": split, "dtype": dtype, "changed": 0.0, "seconds": 0.0}
        for direction, (queries, gallery) in sides.items():
            asked, listed = stores[queries.modality], stores[gallery.modality]
            pipeline = cr.Pipeline(cr.Stage("filip", depth=DEPTH, fusion=cr.WeightedSum(WEIGHT)))
            taken = []
            for _ in range(rounds):
                start = time.perf_counter()
                rankings = pipeline.rerank(first[direction], asked, listed)
                taken.append(time.perf_counter() - start)
            record["seconds"] += min(taken)
            order = np.argsort(rankings.index, axis=1)
            raw = np.take_along_axis(rankings.scores("filip"), order, axis=1)
            change = np.abs(raw - exact.setdefault(direction, raw)).max()
            record["changed"] = max(record["changed"], float(change))
            record |= {
                f"{direction} {name}": value
                for name, value in recalls(rankings, pictures.ids, texts.ids, direction).items()
            }
        record["sum"] = sum(value for name, value in record.items() if "R@" in name)
        record["bytes"] = (folder / f"images_{dtype}" / "tokens.npy").stat().st_size / len(pictures)
        records.append(record)
    return records


def recalls(
    rankings: cr.Rankings, pictures: tuple[str, ...], texts: tuple[str, ...], direction: str
) -> dict[str, float]:
    pairs = [(text, pictures[n // CAPTIONS]) for n, text in enumerate(texts)]
    qrels: dict[str, set[str]] = {}
    for text, picture in pairs:
        query, relevant = (text, picture) if direction == "t2i" else (picture, text)
        qrels.setdefault(query, set()).add(relevant)
    found = cr.evaluate({"filip": rankings.to_run()}, qrels, METRICS, resamples=0)
    return {name: found["filip"][name] for name in METRICS}


if __name__ == "__main__":
    main()
