"""What a second worker buys on a local Ray cluster, where scoring is all there is to do.

    python benchmarks/ray_workers.py --folder STORES [--workers 1 2] [--rounds 3] [--json]

2,000 images of 196 float16 tokens x 512, made under STORES, where they stay for the next time;
queries of 64 words, 100 random candidates each, reranked by filip.  Every run is a process of its
own with one thread per worker; the numbers of workers take turns.  Timed is the whole
`Pipeline.rerank(engine="ray")`, with the start of the cluster and its end; "scoring" is the part
from the first block's scores to the last's.  The rankings of all runs must be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank._lists.rankings import Rankings

IMAGES, TOKENS, SIZE, WORDS, DEPTH = 2000, 196, 512, 64, 100
BUDGET = "4GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--queries", type=int, default=5300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only is not None:
        print(json.dumps(measured(given.folder, given.queries, given.only, given.result)))
        return
    stored(given.folder)
    seconds: dict[int, list[dict[str, float]]] = {count: [] for count in given.workers}
    with tempfile.TemporaryDirectory() as results:
        first = Path(results) / "first"
        for turn in range(given.rounds):
            for count in given.workers:
                result = Path(results) / "other" if first.exists() else first
                seconds[count].append(in_a_process(given, count, result))
                if Rankings.open(result) != Rankings.open(first):
                    raise SystemExit(f"{count} workers rank differently in round {turn + 1}")
    if given.json:
        print(json.dumps(seconds))
        return
    report(seconds, given.queries)


def report(seconds: dict[int, list[dict[str, float]]], queries: int) -> None:
    print(f"{queries:,} queries x {DEPTH}, filip {WORDS}x{TOKENS}x{SIZE}, equal rankings")
    print(f"{'workers':>8}{'':4}{'min s':>8}{'median s':>10}{'times as fast':>15}")
    alone = seconds[min(seconds)]
    for part in ("whole", "scoring"):
        for count, runs in seconds.items():
            times, before = ([run[part] for run in each] for each in (runs, alone))
            ratios = [
                f"{middle(before) / middle(times):.2f}" for middle in (min, statistics.median)
            ]
            print(
                f"{count:>8}{min(times):12.1f}{statistics.median(times):10.1f}"
                f"{' / '.join(ratios):>15}  {part}"
            )


def in_a_process(given: argparse.Namespace, workers: int, result: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--folder", given.folder, "--queries", given.queries]
    command += ["--only", workers, "--result", result]
    done = subprocess.run(
        [str(word) for word in command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def stored(folder: Path) -> Path:
    """Make the gallery, or find the one that is there."""
    path = folder / f"ray-tokens-{IMAGES}-{TOKENS}-{SIZE}"
    if path.is_dir():
        return path
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(IMAGES * TOKENS, SIZE)).astype(np.float32)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    tokens = cr.Ragged(rows, [TOKENS] * IMAGES)
    cr.Collection([f"i{n}" for n in range(IMAGES)], "image", tokens=tokens).save(path)
    return path


def measured(folder: Path, count: int, workers: int, result: Path) -> dict[str, float]:
    gallery = cr.Collection.open(stored(folder))
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(count * WORDS, SIZE)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = cr.Collection(
        [f"q{n}" for n in range(count)], "text", tokens=cr.Ragged(rows, [WORDS] * count)
    )
    index = np.stack([rng.choice(IMAGES, DEPTH, replace=False) for _ in range(count)])
    candidates = cr.Candidates(
        index,
        rng.normal(size=index.shape),
        np.ones(index.shape, np.bool_),
        queries.ids,
        gallery.ids,
        "t2i",
    )
    finished: list[float] = []
    start = time.perf_counter()
    rankings = cr.Pipeline(cr.Stage("filip")).rerank(
        candidates,
        queries,
        gallery,
        engine="ray",
        workers=workers,
        threads=1,
        memory_budget=BUDGET,
        progress=lambda what, done, total: finished.append(time.perf_counter()),
    )
    whole = time.perf_counter() - start
    rankings.save(result)
    return {"whole": whole, "scoring": finished[-1] - finished[0], "blocks": len(finished)}


if __name__ == "__main__":
    main()
