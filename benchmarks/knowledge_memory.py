"""Memory of a streaming build: 2,000,000 regions × 512 dimensions, 5,000 words.

    python benchmarks/knowledge_memory.py [--regions 2000000] [--json]

The peak of resident memory is read in a process of its own; the features of all regions would
take 4.1 GB.  A second process builds from 100,000 regions, which fit, and compares with the mean
in one go (float64).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank_knowledge import build

SIZE, WORDS, BLOCK = 512, 5000, 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, default=2_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", choices=("stream", "compare"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part is not None:
        print(json.dumps(stream(given.regions) if given.part == "stream" else compare(100_000)))
        return
    found: dict[str, Any] = {}
    for part in ("stream", "compare"):
        command = [sys.executable, __file__, "--part", part, "--regions", str(given.regions)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found |= json.loads(done.stdout)
    if given.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{given.regions:,} regions × {SIZE}: {found['seconds']:.0f} s")
    print(f"peak {found['peak_mb']:.0f} MB resident, {found['start_mb']:.0f} MB before the build")
    print(f"largest distance from the one-shot mean: {found['largest_difference']:.1e}")


def regions(count: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield labelled regions, block by block."""
    for start in range(0, count, BLOCK):
        rng = np.random.default_rng(start)
        features = rng.random((min(BLOCK, count - start), SIZE), np.float32) * np.float32(6)
        words = rng.integers(0, WORDS, (len(features), 2))
        for (first, second), feature in zip(words, features, strict=True):
            yield f"w{first} w{second}", feature


def stream(count: int) -> dict[str, float]:
    before = peak_mb()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bank = build(regions(count), Path(folder) / "bank", checkpoint_every=500_000)
        seconds = time.perf_counter() - start
        assert bank.regions == count and len(bank) == WORDS
    return {"peak_mb": peak_mb(), "start_mb": before, "seconds": seconds}


def compare(count: int) -> dict[str, float]:
    bank = build(regions(count))
    labels, features = zip(*regions(count), strict=True)
    table = np.array(features, np.float64)
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        for word in label.split():
            rows.setdefault(word, []).append(row)
    apart = max(
        float(np.abs(bank.lookup(word) - table[own].mean(axis=0)).max())
        for word, own in rows.items()
    )
    return {"largest_difference": apart}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
