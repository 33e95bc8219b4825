"""Uses collections whose files are shortened while they are open; run as a program of its own.

Says ``begin NAME`` and ``NAME | WHEN | OUTCOME`` for every use: where the second is missing, the
process was killed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import StoreError

COUNT = 60
ENCODER = "lite:cc93edc967b4c1ca"
WORDS = ("black", "dog", "runs", "over", "green", "grass")


def unit(random: np.random.Generator, *shape: int) -> np.ndarray[Any, Any]:
    """Return rows of unit length."""
    rows = random.normal(size=shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def save_sides(folder: Path) -> None:
    """Write pictures and texts as the encoder lite would."""
    random = np.random.default_rng(0)
    corners = np.tile([0.1, 0.1, 0.4, 0.4], (COUNT * 81, 1)).astype(np.float32)
    cells, words = np.full(COUNT, 81), np.full(COUNT, len(WORDS))
    images = cr.Collection(
        [f"i{row}" for row in range(COUNT)],
        "image",
        encoder=ENCODER,
        embedding=unit(random, COUNT, 512),
        tokens=cr.Ragged(unit(random, COUNT * 81, 192), cells),
        token_boxes=cr.Ragged(corners, cells),
        regions=cr.Ragged(unit(random, COUNT * 81, 1280).astype(np.float16), cells),
    )
    texts = cr.Collection(
        [f"t{row}" for row in range(COUNT)],
        "text",
        encoder=ENCODER,
        embedding=unit(random, COUNT, 512),
        tokens=cr.Ragged(unit(random, COUNT * len(WORDS), 192), words),
        token_text=[list(WORDS)] * COUNT,
        words=cr.Ragged(unit(random, COUNT * len(WORDS), 384), words),
        text=[" ".join(WORDS)] * COUNT,
    )
    images.save(folder / "images")
    images.save(folder / "compact", dtype={"tokens": "int8"})
    texts.save(folder / "texts")


def shorten(folder: Path) -> None:
    """Leave of every array its first page."""
    for path in folder.rglob("*.npy"):
        with path.open("r+b") as file:
            file.truncate(4096)
            # the size alone must do: a clock may stand still
            file.flush()


class Sides:
    """Both collections, opened from a copy of their own, in which whatever is used is shortened."""

    def __init__(self, source: Path, when: str) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=source.parent)) / "sides"
        shutil.copytree(source, self.folder)
        self.images = cr.Collection.open(self.folder / "images")
        self.compact = cr.Collection.open(self.folder / "compact")
        self.texts = cr.Collection.open(self.folder / "texts")
        self.progress = self.shorten if when == "meanwhile" else None
        self.lists = cr.search(self.texts, self.images, depth=5, engine="numpy")

    def shorten(self, *_: Any) -> None:
        """Shorten all files; also to be called by progress."""
        shorten(self.folder)


def core(sides: Sides) -> dict[str, Callable[[], Any]]:
    """Return what the core does with whole collections."""
    images, texts, out = sides.images, sides.texts, sides.folder.parent / "out"
    more = images.with_features(size=np.ones((COUNT, 2), np.int64))
    held, tokens = images["embedding"], images["tokens"]
    return {
        "search numpy": lambda: cr.search(texts, images, depth=5, engine="numpy"),
        "search faiss": lambda: cr.search(texts, images, depth=5, engine="faiss"),
        "fingerprint": more.fingerprint,
        "fingerprint of an array": lambda: cr.fingerprint(held),
        "fingerprint of ragged rows": lambda: cr.fingerprint(tokens),
        "fingerprint of codes": lambda: cr.fingerprint(sides.compact["tokens"]),
        "save": lambda: images.save(out),
        "save as another type": lambda: images.save(out, dtype={"tokens": "float16"}),
        "concat": lambda: cr.Collection.concat([images, images.take([0], ids=["new"])]),
        "take": lambda: images.take(range(COUNT)),
        "equal": lambda: images == images,
        "an item": lambda: tokens[COUNT - 1],
        "a row": lambda: held[COUNT - 1],
        "a part": lambda: held[3:50],
        "every other": lambda: held[::2],
        "chosen": lambda: held[np.array([1, 50])],
        "columns": lambda: held[:, 3],
        "a sum": lambda: held.sum(),
        "a product": lambda: held @ held.T,
        "joined": lambda: np.concatenate([held, held]),
        "einsum": lambda: np.einsum("nd,nd->n", held, held),
        "reduceat": lambda: np.add.reduceat(tokens.flat, tokens.offsets[:-1], axis=0),
        "numpy's take": lambda: held.take([50], axis=0),
        "another type": lambda: held.astype(np.float64),
        "asarray": lambda: np.asarray(images["embedding"], np.float64),
        "codes": lambda: sides.compact["tokens"][COUNT - 1],
        "all codes": lambda: np.asarray(sides.compact["tokens"].flat),
    }


def rerankers(sides: Sides) -> dict[str, Callable[[], Any]]:
    """Return the rerankers that run on features of lite, and what is done with knowledge."""
    from crossrank_knowledge import KnowledgeBank, refine, whitened

    def stage(name: str, **parameters: Any) -> Callable[[], Any]:
        def run() -> Any:
            pipeline = cr.Pipeline(cr.Stage(name, params=parameters))
            return pipeline.rerank(sides.lists, sides.texts, sides.images, progress=sides.progress)

        return run

    def bank() -> Any:
        return KnowledgeBank(
            WORDS,
            unit(np.random.default_rng(0), len(WORDS), 1280),
            np.ones(len(WORDS), np.int64),
            encoder=ENCODER,
        )

    names = ("filip", "hosa", "lite_itm", "cprd", "mack", "graph")
    uses = {name: stage(name) for name in names}
    uses |= {name: stage(name, bank=sides.texts) for name in ("nnn", "csls")}
    uses["refine"] = lambda: refine(bank(), sides.images, steps=20, progress=sides.progress)
    uses["whiten"] = lambda: whitened(bank(), sides.images)
    return uses


def say(line: str) -> None:
    """Write a line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(kind: str) -> None:
    """Do everything once on files shortened before, and rerank on files shortened meanwhile."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "sides"
        save_sides(source)
        make = {"core": core, "rerankers": rerankers}[kind]
        for when in ("before", "meanwhile")[: 1 if kind == "core" else 2]:
            for name in make(Sides(source, when)):
                _use(make, name, Sides(source, when), when)


def _use(make: Callable[[Sides], Any], name: str, sides: Sides, when: str) -> None:
    use = make(sides)[name]
    if when == "before":
        sides.shorten()
    say(f"begin {name}")
    try:
        use()
        outcome = "finished"
    except StoreError:
        outcome = "StoreError"
    say(f"{name} | {when} | {outcome}")
    shutil.rmtree(sides.folder.parent)


if __name__ == "__main__":
    main(*sys.argv[1:])
