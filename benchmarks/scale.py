"""Reranking from a store on disk: whether memory follows the gallery, and what reading costs.

    python benchmarks/scale.py --folder STORES [--items 10000 100000 1000000] [--budget 2GB]

Makes synthetic galleries of 64 float16 tokens x 128 (16 KB an item) under STORES, where they stay
for the next time.  2,000 queries of 32 words, 100 random candidates each, are reranked by filip.
For each gallery, in a process of its own:

anonymous, mapped    the peaks of RssAnon and RssFile above what they were before the run, sampled
wall                 of the whole `Pipeline.rerank`, files in the page cache as far as they fit
kernel               the scoring of the same blocks, read and converted beforehand
read                 the reading of the same blocks and their conversion to float32, in one thread
wall / max           wall to the larger of these two
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import crossrank as cr
from crossrank._engine.block import feature_bytes, locality
from crossrank._engine.local import score_here
from crossrank._engine.options import RunOptions, parse_bytes
from crossrank._engine.partition import Weights, layout, portions
from crossrank._engine.resources import Resources
from crossrank._engine.work import BlockWork
from crossrank._files.atomic import atomic_folder
from crossrank._items.collection_folder import write_ids
from crossrank._items.manifest import write_manifest
from crossrank_filip.kernel import widened

QUERIES, WORDS, DEPTH, TOKENS, SIZE = 2000, 32, 100, 64, 128
CHUNK = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--budget", default="2GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only is not None:
        print(json.dumps(measured(given.folder, given.only, given.budget, given.rounds)))
        return
    if not given.json:
        print(f"budget {given.budget}; {QUERIES} queries x {DEPTH} candidates, min of rounds")
        print(f"{'items':>9}{'store':>9}{'anonymous':>11}{'mapped':>9}", end="")
        print(f"{'wall s':>9}{'kernel s':>10}{'read s':>9}{'wall / max':>12}", flush=True)
    for items in given.items:
        stored(given.folder, items)
        command = [sys.executable, __file__, "--folder", given.folder, "--only", items]
        command += ["--budget", given.budget, "--rounds", given.rounds]
        words = [str(word) for word in command]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        if given.json:
            print(done.stdout.strip(), flush=True)
            continue
        found = json.loads(done.stdout)
        wall, kernel, read = (min(found[name]) for name in ("wall", "kernel", "read"))
        sizes = (items * TOKENS * SIZE * 2, found["anonymous"], found["mapped"])
        print(f"{items:9,}" + "".join(f"{size / 2**20:7.0f}MB" for size in sizes), end="")
        print(f"{wall:11.2f}{kernel:10.2f}{read:9.2f}{wall / max(kernel, read):12.2f}", flush=True)


def stored(folder: Path, items: int) -> Path:
    """Make a gallery on disk in chunks, or find the one that is there."""
    path = folder / f"tokens-{items}"
    if path.is_dir():
        return path
    rng = np.random.default_rng(items)
    with atomic_folder(path) as partial:
        write_ids(partial, tuple(f"item-{n:08d}" for n in range(items)))
        flat = np.lib.format.open_memmap(
            partial / "tokens.npy", "w+", np.float16, (items * TOKENS, SIZE)
        )
        for chunk, start in enumerate(range(0, len(flat), CHUNK * TOKENS)):
            part = flat[start : start + CHUNK * TOKENS]
            shift = chunk % SIZE  # the same numbers, but no row is another one
            if shift == 0:
                integers = rng.integers(-999, 1000, CHUNK * TOKENS * SIZE + SIZE, np.int16)
            rows = integers[shift:][: part.size].reshape(part.shape).astype(np.float32)
            part[:] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        flat.flush()
        del flat
        np.save(partial / "tokens.lengths.npy", np.full(items, TOKENS))
        write_manifest(partial, "image", None, items, {"tokens": "ragged"})
    return path


def measured(folder: Path, items: int, budget: str, rounds: int) -> dict[str, object]:
    gallery = cr.Collection.open(stored(folder, items))
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(QUERIES * WORDS, SIZE)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    tokens = cr.Ragged(rows, [WORDS] * QUERIES)
    queries = cr.Collection([f"q{n}" for n in range(QUERIES)], "text", tokens=tokens)
    index = np.stack([rng.choice(items, DEPTH, replace=False) for _ in range(QUERIES)])
    scores = rng.normal(size=index.shape)
    candidates = cr.Candidates(
        index, scores, np.ones(index.shape, np.bool_), queries.ids, gallery.ids, "t2i"
    )
    pipeline = cr.Pipeline(cr.Stage("filip"))
    few = cr.Candidates.from_lists({"q0": gallery.ids[:1]}, candidate_ids=gallery.ids)
    cr.Pipeline(cr.Stage("filip", fusion=cr.Replace())).rerank(few, queries, gallery)  # imports
    found: dict[str, list[float]] = {"wall": [], "kernel": [], "read": []}
    peak = [0, 0]
    for _ in range(rounds):
        with sampled(peak):
            start = time.perf_counter()
            pipeline.rerank(candidates, queries, gallery, memory_budget=budget)
            found["wall"].append(time.perf_counter() - start)
        kernel, read = alone(pipeline.stages[0], candidates, queries, gallery, budget)
        found["kernel"].append(kernel)
        found["read"].append(read)
    return {"items": items, "anonymous": peak[0], "mapped": peak[1], **found}


def alone(
    stage: cr.Stage,
    candidates: cr.Candidates,
    queries: cr.Collection,
    gallery: cr.Collection,
    budget: str,
) -> tuple[float, float]:
    """Return the seconds of scoring all blocks, and of reading and converting them.

    The scoring is the engine's, with all its threads; the reading is done by one thread.
    """
    resources = Resources.of(RunOptions(memory_budget=budget))
    context = cr.Context(queries, gallery, candidates, "t2i", threads=resources.threads)
    needs = stage.scorer.needs(context)
    order = locality(candidates.index, candidates.mask)
    weights = Weights(
        candidates.index[order],
        candidates.mask[order],
        feature_bytes(queries, needs.queries)[order],
        feature_bytes(gallery, needs.candidates),
    )
    blocks = layout(weights, parse_bytes(budget))
    cuts = {rows.start: portions(weights, rows) for rows in blocks}
    work = Ready(stage, context, None, needs, np.arange(len(queries)), order, cuts, None)
    kernel = read = 0.0
    room = np.zeros((0, SIZE), np.float32)
    torch.set_num_threads(1)  # for the reading; the engine sets its own
    for rows in blocks:
        for part in cuts[rows.start]:
            start = time.perf_counter()
            block = BlockWork.read(work, part)
            tokens = block.candidates["tokens"]
            if len(room) < len(tokens.flat):
                room = np.zeros_like(tokens.flat, np.float32)
                start = time.perf_counter()  # not the pages of the room
                block = BlockWork.read(work, part)
            converted = widened(block.candidates["tokens"].flat, room[: len(tokens.flat)])
            read += time.perf_counter() - start
            wide = block.candidates.with_features(
                tokens=cr.Ragged(converted.copy(), tokens.lengths)
            )
            work.ready[part] = dataclasses.replace(block, candidates=wide)
        start = time.perf_counter()
        list(score_here(work, [rows], resources))
        kernel += time.perf_counter() - start
        work.ready.clear()
    return kernel, read


@dataclass(frozen=True)
class Ready(BlockWork):
    """Work whose portions were read before."""

    ready: dict[range, cr.Block] = field(default_factory=dict)

    def read(self, rows: range) -> cr.Block:
        """Return a portion that is there already."""
        return self.ready[rows]


@contextmanager
def sampled(peak: list[int]) -> Iterator[None]:
    """Keep the largest growth of anonymous and mapped memory while the block runs, in bytes."""
    before, stop = resident(), threading.Event()

    def watch() -> None:
        while not stop.wait(0.01):
            for place, (now, then) in enumerate(zip(resident(), before, strict=True)):
                peak[place] = max(peak[place], now - then)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def resident() -> tuple[int, int]:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    anonymous, mapped = (int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssFile"))
    return anonymous, mapped


if __name__ == "__main__":
    main()
