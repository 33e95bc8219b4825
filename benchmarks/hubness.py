"""The bias of every candidate: ours, nnn-retrieval's and a plain faiss.knn, side by side.

    python -m venv rival && rival/bin/pip install nnn-retrieval==1.0.1
    python benchmarks/hubness.py --rival rival/bin/python [--items 1000000] [--bank 30000] [--json]

Each is timed in a process of its own, in turns; the table holds minimum and median, the peak of
resident memory beyond the embeddings, and the largest difference from ours.  Large blocks go back
to the system when they are freed: a heap that keeps them would count against nnn-retrieval, which
lets go of each of its blocks.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE, COUNT, BATCH = 192, 128, 128
BUDGET = 1 << 30
"""What ours may take in blocks."""

HEAP = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}

Vectors = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--bank", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rival", type=Path, help="A Python that has nnn-retrieval.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part is not None:
        print(json.dumps(timed(given.part, given.items, given.bank, given.output)))
        return
    pythons = {"ours": sys.executable, "faiss.knn": sys.executable}
    if given.rival is not None:
        pythons["nnn-retrieval"] = str(given.rival)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in pythons}
    with tempfile.TemporaryDirectory() as folder:
        results = {name: Path(folder) / f"{number}.npy" for number, name in enumerate(pythons)}
        for _ in range(given.rounds):
            for name, python in pythons.items():
                command = [python, __file__, "--part", name, "--items", str(given.items)]
                command += ["--bank", str(given.bank), "--output", str(results[name])]
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, env=os.environ | HEAP
                )
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
        ours = np.load(results["ours"])
        away = {name: float(np.abs(np.load(each) - ours).max()) for name, each in results.items()}
    rows = {name: summed_up(each, away[name]) for name, each in found.items()}
    if given.json:
        print(json.dumps({"items": given.items, "bank": given.bank, "rows": rows}, indent=1))
        return
    print(f"{given.items:,} items × {SIZE}, a bank of {given.bank:,}, k {COUNT}")
    print(f"{'':14}  minimum   median  peak MB  largest difference")
    for name, row in rows.items():
        print(
            f"{name:14}  {row['minimum']:6.2f} s {row['median']:6.2f} s  {row['peak_mb']:7,.0f}  "
            f"{row['difference']:.1e}"
        )


def summed_up(rounds: list[dict[str, float]], difference: float) -> dict[str, float]:
    seconds = [each["seconds"] for each in rounds]
    return {
        "minimum": min(seconds),
        "median": statistics.median(seconds),
        "peak_mb": max(each["peak_mb"] for each in rounds),
        "difference": difference,
    }


def timed(part: str, items: int, bank: int, output: Path) -> dict[str, float]:
    """Compute the biases once, and say what it took."""
    rng = np.random.default_rng(0)
    gallery, banked = unit(rng, items), unit(rng, bank)
    compute = PARTS[part](gallery, banked)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of what was before
    before = resident("VmRSS")
    start = time.perf_counter()
    found = compute()
    seconds = time.perf_counter() - start
    peak = resident("VmHWM") - before
    np.save(output, np.asarray(found, np.float64).ravel())
    return {"seconds": seconds, "peak_mb": peak / 1024}


def resident(name: str) -> int:
    """Return a figure of this process's memory, in kB, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def unit(rng: np.random.Generator, count: int) -> Vectors:
    rows = rng.standard_normal((count, SIZE), np.float32)
    rows += np.float32(0.3)  # a common part makes hubs
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def ours(gallery: Vectors, bank: Vectors) -> Callable[[], Any]:
    from crossrank_hubness.streaming import top_k_means

    return lambda: top_k_means(
        lambda part: gallery[part], len(gallery), bank, COUNT, BUDGET // 8, lambda done: None
    )


def knn(gallery: Vectors, bank: Vectors) -> Callable[[], Any]:
    import faiss

    def compute() -> Any:
        near, _ = faiss.knn(gallery, bank, COUNT, metric=faiss.METRIC_INNER_PRODUCT)
        return near.mean(axis=1)

    return compute


def rival(gallery: Vectors, bank: Vectors) -> Callable[[], Any]:
    import torch
    from nnn import NNNRetriever

    retriever = NNNRetriever(SIZE)
    sides = torch.from_numpy(gallery), torch.from_numpy(bank)
    return lambda: retriever.compute_alignment_means(*sides, COUNT, BATCH)


PARTS: dict[str, Callable[[Vectors, Vectors], Callable[[], Any]]] = {
    "ours": ours,
    "faiss.knn": knn,
    "nnn-retrieval": rival,
}


if __name__ == "__main__":
    main()
