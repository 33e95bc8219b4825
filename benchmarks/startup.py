"""How long one waits before anything happens: each command in a process of its own, interleaved.

    python benchmarks/startup.py [--rounds 5] [--clock cpu] [--json]

The first rerank is that of two words with ten drawn pictures by ``cr.rerank``: lite's models are
loaded, everything is encoded, nothing comes from a cache.  On a busy machine ``--clock cpu`` counts
what the processors spent on it and not the waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

PICTURES = 10
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
FIRST = """
import numpy as np
from PIL import Image
import crossrank as cr
noise = np.random.default_rng(0).integers(0, 256, ({pictures}, 240, 320, 3), np.uint8)
rankings = cr.rerank("two dogs", [Image.fromarray(each) for each in noise])
"""
CASES: dict[str, tuple[list[str], str]] = {
    "python": (["-c", "pass"], ""),
    "import numpy": (["-c", "import numpy"], ""),
    "import crossrank": (["-c", "import crossrank"], "import numpy"),
    "import torch": (["-c", "import torch"], ""),
    "crossrank --help": (["-m", "crossrank", "--help"], "import crossrank"),
    "crossrank plugins": (["-m", "crossrank", "plugins"], "import crossrank"),
    "the first cr.rerank with lite": (
        ["-c", FIRST.format(pictures=PICTURES)],
        "import torch",
    ),
}
"""Per case what Python is given, and what it is held against."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds + 1):
            for name, (arguments, _) in CASES.items():
                seconds = taken(arguments, folder, CLOCKS[given.clock])
                if number:  # the first round fills the caches of the disk
                    found[name].append(seconds)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'seconds':32}{'min':>7}{'median':>9}   ratio of minima, of medians")
    for name, (_, against) in CASES.items():
        measures = min(found[name]), statistics.median(found[name])
        line = f"{name:32}{measures[0]:7.2f}{measures[1]:9.2f}"
        if against:
            rival = min(found[against]), statistics.median(found[against])
            ratios = [mine / its for mine, its in zip(measures, rival, strict=True)]
            line += f"   {ratios[0]:.2f}, {ratios[1]:.2f} × {against}"
        print(line)


def taken(arguments: list[str], folder: str, clock: Callable[[], float]) -> float:
    """Return the seconds of a process; its caches are empty, as those of a new user are.

    Bytecode is not: what pip installs is compiled.
    """
    compiled = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    start = clock()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**compiled, "XDG_CACHE_HOME": folder},
    )
    return clock() - start


def spent() -> float:
    """Return the seconds of processors that all finished processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


CLOCKS = {"wall": time.perf_counter, "cpu": spent}


if __name__ == "__main__":
    main()
