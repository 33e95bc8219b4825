"""MACK with precomputed maxima against the direct loop over pairs.

    python benchmarks/mack.py [--rounds 3] [--json]

1,000 queries × 1,000 images of 49 regions, 1280 dimensions, 1 to 6 nouns a query.  Each rival runs
in a process of its own, in turn; only the work is timed, not the start of the process:

direct      per pair: unit rows of words and regions, their product, max, mean (the paper's style),
            on 10 queries, times 100
kept        the same with all unit rows computed beforehand, on 50 queries, times 20
first       `Pipeline.rerank` in an empty cache folder: the table of maxima included
prepared    `Pipeline.rerank` again: the table is read from the cache folder
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_knowledge import KnowledgeBank

QUERIES, IMAGES, REGIONS, SIZE, WORDS = 1000, 1000, 49, 1280, 900
SAMPLE = {"direct": 10, "kept": 50, "first": QUERIES, "prepared": QUERIES}
Floats = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rival", choices=list(SAMPLE), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rival is not None:
        print(json.dumps(timed(given.rival, given.folder)))
        return
    seconds: dict[str, list[float]] = {name: [] for name in SAMPLE}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            for name in SAMPLE:
                command = [sys.executable, __file__, "--rival", name, "--folder", folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds[name].append(json.loads(done.stdout))
        apart = largest_difference(Path(folder))
    report(seconds, apart, as_json=given.json)


def timed(rival: str, folder: Path) -> float:
    """Run one rival, write its scores, and return its seconds for all queries."""
    bank, queries, gallery = world()
    if rival in ("direct", "kept"):
        regions = [np.asarray(each) for each in gallery["regions"]]
        texts = [word_rows(bank, each) for each in queries["concepts"][: SAMPLE[rival]]]
        if rival == "kept":
            regions = [unit(each) for each in regions]
            texts = [unit(each) for each in texts]
        start = time.perf_counter()
        pair = kept_pair if rival == "kept" else direct_pair
        scores = np.array([[pair(words, each) for each in regions] for words in texts])
        taken = (time.perf_counter() - start) * QUERIES / SAMPLE[rival]
    else:
        cache = folder / "cache"
        if rival == "first" and cache.is_dir():
            for file in cache.iterdir():
                file.unlink()
        lists = np.tile(np.arange(IMAGES), (QUERIES, 1))
        candidates = cr.Candidates.from_lists(
            [[gallery.ids[row] for row in each] for each in lists],
            query_ids=queries.ids,
            candidate_ids=gallery.ids,
        )
        stage = cr.Stage("mack", fusion=cr.Replace(), params={"knowledge": bank})
        gallery.fingerprint()  # on disk it is part of the manifest
        start = time.perf_counter()
        rankings = cr.Pipeline([stage]).rerank(
            candidates, queries, gallery, cache_folder=cache, threads=2
        )
        taken = time.perf_counter() - start
        scores = np.empty((QUERIES, IMAGES))
        np.put_along_axis(scores, rankings.index, rankings.scores("mack"), axis=1)
    np.save(folder / f"{rival}.npy", scores)
    return taken


def world() -> tuple[KnowledgeBank, cr.Collection, cr.Collection]:
    """Make a bank, texts and images, the same in every process."""
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(WORDS)]
    bank = KnowledgeBank(words, rng.random((WORDS, SIZE), np.float32))
    concepts = [
        [
            (str(rng.choice(words)), str(rng.choice(words)) if rng.random() < 0.3 else None)
            for _ in range(int(rng.integers(1, 7)))
        ]
        for _ in range(QUERIES)
    ]
    regions = cr.Ragged(rng.random((IMAGES * REGIONS, SIZE), np.float32), [REGIONS] * IMAGES)
    queries = cr.Collection([f"q{n}" for n in range(QUERIES)], "text", concepts=concepts)
    gallery = cr.Collection([f"i{n}" for n in range(IMAGES)], "image", regions=regions)
    return bank, queries, gallery


def word_rows(bank: KnowledgeBank, concepts: Any) -> Floats:
    return np.stack(
        [
            bank.lookup(noun) + (0 if adjective is None else bank.lookup(adjective))
            for noun, adjective in concepts
        ]
    )


def unit(rows: Floats) -> Floats:
    scaled: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def direct_pair(words: Floats, regions: Floats) -> float:
    return kept_pair(unit(words), unit(regions))


def kept_pair(words: Floats, regions: Floats) -> float:
    return float((words @ regions.T).max(axis=1).mean())


def largest_difference(folder: Path) -> float:
    prepared = np.load(folder / "prepared.npy")
    return max(
        float(np.abs(prepared[: SAMPLE[name]] - np.load(folder / f"{name}.npy")).max())
        for name in SAMPLE
    )


def report(seconds: dict[str, list[float]], apart: float, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"seconds": seconds, "largest_difference": apart}, indent=1))
        return
    print(f"{'rival':10}{'min s':>10}{'median s':>10}{'÷ prepared (min)':>18}{'(median)':>10}")
    best, middle = min(seconds["prepared"]), statistics.median(seconds["prepared"])
    for name, runs in seconds.items():
        low, median = min(runs), statistics.median(runs)
        print(f"{name:10}{low:10.3f}{median:10.3f}{low / best:18.1f}{median / middle:10.1f}")
    print(f"largest difference between scores: {apart:.1e}")


if __name__ == "__main__":
    main()
