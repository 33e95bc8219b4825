"""Fills a small disk at every size and goes on when there is room; run as a program of its own.

    cd tests
    unshare --map-root-user --mount python -m toys.full_disk collections 10
    unshare --map-root-user --mount python -m toys.full_disk rerankers 10

The number is how many sizes there are up to that of the result.  Says ``NAME | SIZE | OUTCOME`` for
every step: where the last is missing, the process was killed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import StoreError
from toys.basic import DotReranker, ToyEncoder, unit
from toys.shortened import ENCODER, WORDS, Sides, save_sides, say

HIDDEN = re.compile(r"\..+\.[0-9a-f]{12}")
AMPLE = 1 << 27
MOST_STEPS = 100
TEXTS = [f"some words of item number {number} {number * 7}" for number in range(400)]


def _nothing(folder: Path) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Work:
    """What is written to the disk; the same call again must go on from where it failed."""

    write: Callable[[Path], Any]
    before: Callable[[Path], Any] = _nothing
    scratch: int = 0
    """Bytes that it takes and gives back."""


class Disk:
    """A disk in memory, of a size that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={AMPLE}", "tmpfs", folder], check=True)

    def resize(self, size: int) -> None:
        """Change the size, to no less than what is used."""
        command = ["mount", "-o", f"remount,size={size}", "tmpfs", str(self.folder)]
        subprocess.run(command, check=True)

    def used(self) -> int:
        """Return the bytes that are taken."""
        state = os.statvfs(self.folder)
        return (state.f_blocks - state.f_bfree) * state.f_frsize

    def empty(self) -> None:
        """Remove everything."""
        self.resize(AMPLE)
        for each in self.folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            else:
                each.unlink()


def _encode(**options: Any) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        made = cr.encode(ToyEncoder(), TEXTS, out=folder / "made", batch_size=8, **options)
        return made.fingerprint()

    return write


def collections(temporary: Path) -> dict[str, Work]:
    """Return the ways in which collections and runs come to lie on a disk."""
    held = cr.encode(ToyEncoder(), TEXTS, features=("embedding", "tokens"))
    short = cr.encode(ToyEncoder(), TEXTS[:200], features=("embedding",))
    other = held.take(range(len(TEXTS)), ids=[f"x{row}" for row in range(len(TEXTS))])
    lists = cr.search(held, held, depth=20, engine="numpy")

    def saved(folder: Path, **options: Any) -> str:
        held.save(folder / "made", **options)
        return cr.Collection.open(folder / "made").fingerprint()

    def rerank_to(folder: Path) -> list[Any]:
        pipeline = cr.Pipeline(cr.Stage(DotReranker()))
        found = pipeline.rerank_to(folder / "run", lists, held, held, resume=True)
        return [ranking.ids for ranking in found.values()]

    def add_to(folder: Path) -> str:
        return cr.encode(
            ToyEncoder(), TEXTS, add_to=folder / "made", features=("tokens",)
        ).fingerprint()

    def append(folder: Path) -> str:
        items = [cr.Item(str(row), text) for row, text in enumerate(TEXTS)]
        return cr.encode(
            ToyEncoder(),
            items,
            out=folder / "made",
            features=("embedding",),
            append=True,
            reuse=True,
        ).fingerprint()

    def with_embeddings(folder: Path) -> None:
        held.take(range(len(TEXTS)), features=("embedding", "text")).save(folder / "made")

    return {
        "encode": Work(_encode()),
        "encode as int8": Work(_encode(store_dtype={"tokens": "int8"})),
        "save": Work(saved),
        "save as bfloat16": Work(lambda folder: saved(folder, dtype={"tokens": "bfloat16"})),
        "concat": Work(
            lambda folder: cr.Collection.concat([held, other], folder / "made").fingerprint()
        ),
        "add to": Work(add_to, with_embeddings),
        "append": Work(append, lambda folder: short.save(folder / "made")),
        "rerank_to": Work(rerank_to),
    }


def rerankers(temporary: Path) -> dict[str, Work]:
    """Return what rerankers and knowledge write."""
    from crossrank_knowledge import KnowledgeBank, refine

    save_sides(temporary / "sides")
    sides = Sides(temporary / "sides", "never")

    def bank(out: Path | None = None, size: int = 1280) -> Any:
        vectors = unit(np.random.default_rng(0).normal(size=(len(WORDS), size)))
        labelled = [(word, vector) for word, vector in zip(WORDS, vectors, strict=True)] * 20
        return KnowledgeBank.build(labelled, out, encoder=ENCODER, checkpoint_every=30)

    def refined(folder: Path) -> str:
        return str(refine(bank(), sides.images, folder / "refined", steps=6, every=2).fingerprint())

    def cached(name: str) -> Callable[[Path], list[Any]]:
        def write(folder: Path) -> list[Any]:
            pipeline = cr.Pipeline(cr.Stage(name))
            found = pipeline.rerank(
                sides.lists, sides.texts, sides.images, cache_folder=folder / "cache"
            )
            return [ranking.ids for ranking in found.values()]

        return write

    def scratch(name: str) -> Callable[[Path], list[Any]]:
        def write(folder: Path) -> list[Any]:
            with temporary_files(folder):
                found = cr.Pipeline(cr.Stage(name)).rerank(
                    sides.lists, sides.texts, sides.images, memory_budget="4MB"
                )
            return [ranking.ids for ranking in found.values()]

        return write

    return {
        "knowledge build": Work(lambda folder: bank(folder / "bank", 64).fingerprint()),
        "knowledge refine": Work(refined),
        "hosa with a cache": Work(cached("hosa")),
        "mack with a cache": Work(cached("mack")),
        "lite_itm's scratch files": Work(scratch("lite_itm"), scratch=1 << 22),
        "hosa's scratch files": Work(scratch("hosa"), scratch=1 << 22),
    }


@contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Let temporary files lie on the disk."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def fill(name: str, work: Work, disk: Disk, steps: int) -> None:
    """Do some work on disks of every size, then with room on the same disk."""
    work.before(disk.folder)
    start = disk.used()
    expected = work.write(disk.folder)
    needed = max(disk.used() - start, work.scratch, 1 << 14)
    for step in range(MOST_STEPS):
        disk.empty()
        work.before(disk.folder)
        # what is put together needs more than what it becomes
        share = (step + 1) / steps if step < steps else (1 + 2 / steps) ** (step + 1 - steps)
        size = disk.used() + 4096 * max(1, int(needed * share) // 4096)
        disk.resize(size)
        try:
            found = work.write(disk.folder)
            outcome = "finished"
        except StoreError as error:
            assert "free some space" in str(error), error
            outcome = "StoreError"
            left = [path for path in disk.folder.rglob(".*") if HIDDEN.fullmatch(path.name)]
            assert not left, left
            disk.resize(AMPLE)
            found = work.write(disk.folder)
        assert found == expected, name
        say(f"{name} | {size} | {outcome}")
        if outcome == "finished":
            break
    else:
        raise AssertionError(f"{name} never finished")
    disk.empty()


def main(kind: str, steps: str, *names: str) -> None:
    """Do all of one kind, or some."""
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        disk = Disk(temporary / "disk")
        works = {"collections": collections, "rerankers": rerankers}[kind](temporary)
        try:
            for title in names or works:
                fill(title, works[title], disk, int(steps))
        finally:
            subprocess.run(["umount", disk.folder], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
