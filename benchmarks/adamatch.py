r"""How much patches of several sizes cost: scoring against filip, and preparing a gallery.

    python benchmarks/adamatch.py score [--rounds 7] [--candidates 400] [--threads 1]
    python benchmarks/adamatch.py prepare [--pictures 10000] [--threads 2]

`score` reranks the same lists of a gallery of 9×9 cells by ``filip`` and by ``adamatch`` with
exactly twice as many tokens, and with scales 1 and 2 (1.8 times), features read and patches made
beforehand; rounds are interleaved, minimum and median are told.  `prepare` makes the patches of
pictures that lie on disk, into a cache folder, for two sizes of gallery, each in a process of its
own, and tells the time and the most anonymous memory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.plugin.parts import grid_boxes
from crossrank_adamatch.reranker import AdaMatchReranker
from crossrank_filip.reranker import FilipReranker

GRID, DIM, WORDS = (9, 9), 192, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("score", "prepare", "one"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=32)
    parser.add_argument("--candidates", type=int, default=400)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    if given.step == "score":
        score(given.queries, given.candidates, given.rounds, given.threads)
    elif given.step == "prepare":
        for pictures in (given.pictures // 4, given.pictures):
            command = [sys.executable, __file__, "one", "--pictures", str(pictures)]
            subprocess.run([*command, "--threads", str(given.threads)], check=True)
    else:
        prepare(given.pictures, given.threads)


def gallery(pictures: int, seed: int = 0) -> cr.Collection:
    """Return pictures of random cells."""
    cells = GRID[0] * GRID[1]
    rng = np.random.default_rng(seed)
    flat = rng.standard_normal((pictures * cells, DIM), np.float32)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    lengths = [cells] * pictures
    boxes = np.tile(grid_boxes(*GRID).astype(np.float32), (pictures, 1))
    return cr.Collection(
        [f"p{row}" for row in range(pictures)],
        "image",
        tokens=cr.Ragged(flat, lengths),
        token_boxes=cr.Ragged(boxes, lengths),
    )


def texts(count: int) -> cr.Collection:
    """Return texts of random words."""
    flat = np.random.default_rng(1).standard_normal((count * WORDS, DIM), np.float32)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    ids = [f"t{row}" for row in range(count)]
    return cr.Collection(ids, "text", tokens=cr.Ragged(flat, [WORDS] * count))


def score(count: int, candidates: int, rounds: int, threads: int) -> None:
    """Print times of the rerankers' `score`, and ratios."""
    import torch

    torch.set_num_threads(threads)
    images, asked = gallery(candidates), texts(count)
    index = np.tile(np.arange(candidates), (count, 1))
    lists = cr.Candidates(
        index=index,
        scores=None,
        mask=np.ones(index.shape, np.bool_),
        query_ids=asked.ids,
        candidate_ids=images.ids,
    )
    context = cr.Context(asked, images, lists, "t2i", threads=threads)
    block = cr.Block(
        asked, images, index, lists.mask, None, "t2i", np.arange(count), np.arange(candidates)
    )

    def scoring(reranker: cr.Reranker) -> Callable[[], Any]:
        state = reranker.prepare(context)
        return lambda: reranker.score(block, state)

    rivals = {
        "filip": scoring(FilipReranker()),
        "adamatch, twice the tokens": scoring(AdaMatchReranker(sizes=[1, 1])),
        "adamatch, scales 1 and 2": scoring(AdaMatchReranker(sizes=[1, 2])),
    }
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds + 1):
        for name, run in rivals.items():
            begun = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - begun))
    low, middle = (
        {name: of(each[1:]) for name, each in times.items()} for of in (min, statistics.median)
    )
    print(f"{count} texts × {candidates} pictures × {GRID} cells × {DIM}, {threads} threads, ms")
    for name in rivals:
        print(
            f"{name}: min {low[name]:.1f} ({low[name] / low['filip']:.2f} ×), "
            f"median {middle[name]:.1f} ({middle[name] / middle['filip']:.2f} ×)"
        )


def prepare(pictures: int, threads: int) -> None:
    """Print how long a gallery on disk takes, and the most memory besides the page cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gallery(pictures).save(folder / "gallery")
        opened, asked = cr.Collection.open(folder / "gallery"), texts(1)
        lists = cr.Candidates(
            index=np.arange(pictures)[None],
            scores=None,
            mask=np.ones((1, pictures), np.bool_),
            query_ids=asked.ids,
            candidate_ids=opened.ids,
        )
        for params in ({"sizes": [1, 2]}, {"sizes": [1, 2], "prune": 0.9}):
            reranker = AdaMatchReranker(**params)
            cache = folder / f"cache-{len(params)}"
            context = cr.Context(asked, opened, lists, "t2i", cache_folder=cache, threads=threads)
            before, most, done = anonymous(), [0], threading.Event()
            watch = threading.Thread(target=watched, args=(most, done))
            watch.start()
            begun = time.perf_counter()
            reranker.prepare(context)
            seconds = time.perf_counter() - begun
            done.set()
            watch.join()
            print(
                f"{pictures} pictures, {params}: {seconds:.1f} s, "
                f"{max(0, most[0] - before) / 2**20:.0f} MiB of anonymous memory",
                flush=True,
            )


def anonymous() -> int:
    """Return the bytes of memory of this process that no file backs."""
    with Path("/proc/self/status").open() as lines:
        (kib,) = [int(line.split()[1]) for line in lines if line.startswith("RssAnon")]
    return kib * 1024


def watched(most: list[int], done: threading.Event) -> None:
    """Remember the most memory there was."""
    while not done.wait(0.02):
        most[0] = max(most[0], anonymous())


if __name__ == "__main__":
    main()
