"""The commands that ``research/kill.py`` kills, and the inputs that they read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.cli import main as crossrank_main
from crossrank_knowledge import KnowledgeBank

TEXTS = [f"some words of item {number} {number * 7}" for number in range(600)]
WORDS = tuple(f"word{number}" for number in range(24))


class Letters(cr.Encoder):
    """Counts letters."""

    info = cr.EncoderInfo("letters", "counts letters", {"text": ("embedding",)}, ("embedding",))

    def encode_batch(self, items: Any, modality: str, features: Any) -> dict[str, Any]:
        """Return the counts."""
        rows = [np.bincount([ord(c) % 8 for c in item.text], minlength=8) for item in items]
        return {"embedding": np.array(rows, np.float32)}


class Products(cr.Reranker):
    """Multiplies embeddings."""

    info = cr.RerankerInfo(
        "products",
        "inner product of embeddings",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the products."""
        gathered = block.candidates["embedding"][block.index]
        return cr.Scores(np.einsum("qd,qkd->qk", block.queries["embedding"], gathered))


@dataclass(frozen=True, slots=True)
class Work:
    """A command.

    Parameters
    ----------
    run
        Does it or goes on, given the folder of the inputs and an own one to work in.
    results
        Patterns of what must be equal at the end, in the own folder.
    """

    run: Callable[[Path, Path], Any]
    results: tuple[str, ...] = ("made/**/*",)


def crossrank(*arguments: Any) -> None:
    """Run the program."""
    crossrank_main([str(each) for each in arguments], standalone_mode=False)


def _encode(inputs: Path, own: Path) -> None:
    # a finished one is refused, and stays
    if not (own / "made").is_dir() or (own / "made.partial").is_dir():
        texts = inputs / "texts.txt"
        crossrank("encode", texts, "--encoder", "letters", "--batch-size", 8, "-o", own / "made")


def _rerank(inputs: Path, own: Path) -> None:
    sides = ("--queries", inputs / "queries", "--gallery", inputs / "gallery")
    stages = ("--stage", "products:depth=20", "--stage", "products:depth=8,fusion=rrf")
    folder = ("--out", own / "made", "--resume", "--memory-budget", "24 KB")
    crossrank("rerank", "--run", inputs / "base.trec", *sides, *stages, *folder)


def _labelled(count: int) -> Any:
    for number in range(count):
        random = np.random.default_rng(number)
        yield WORDS[random.integers(len(WORDS))], random.normal(size=8).astype(np.float32)


def _build(inputs: Path, own: Path) -> None:
    KnowledgeBank.build(_labelled(1_500), own / "made", encoder="letters", checkpoint_every=50)


def _refine(inputs: Path, own: Path) -> None:
    options = "steps=60", "words=8", "regions=16", "every=2", "held_out=0.25", "patience=99"
    given = [word for option in options for word in ("--param", option)]
    sides = (inputs / "bank", "--images", inputs / "pictures")
    crossrank("knowledge", "refine", *sides, "-o", own / "made", *given)


def _ablate(inputs: Path, own: Path) -> None:
    out = own / "made"
    if (out / "study.json").is_file():
        crossrank("ablate", "--resume", out)
    else:
        shutil.rmtree(out, ignore_errors=True)  # it had not begun
        cache = ("--score-cache", own / "scores")
        crossrank("ablate", inputs / "study.toml", "-o", out, "--runs", *cache)


WORKS = {
    "encode": Work(_encode),
    # the lock stays, with the number of the process
    "rerank_to": Work(_rerank, ("made/r*",)),
    "knowledge build": Work(_build),
    "knowledge refine": Work(_refine),
    # times stand in the other files
    "ablate": Work(_ablate, ("made/table.*", "made/runs/*")),
}

STUDY = """
[data.report]
queries = "queries"
gallery = "gallery"
qrels = "qrels.txt"
run = "base.trec"
[stages.one]
reranker = "products"
[stages.two]
reranker = "products"
depth = 4
weight = 0.5
[grid]
stages = ["one", "two"]
one.depth = [3, 12]
[statistics]
resamples = 19
[report]
queries = 1
"""


def write_inputs(folder: Path) -> None:
    """Write what the commands read."""
    random = np.random.default_rng(0)
    (folder / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")

    def side(count: int, modality: str, **features: Any) -> cr.Collection:
        ids = [f"{modality[0]}{row}" for row in range(count)]
        rows = random.normal(size=(count, 8)).astype(np.float32)
        return cr.Collection(ids, modality, embedding=rows, **features)

    queries, gallery = side(40, "text", text=TEXTS[:40]), side(30, "image")
    queries.save(folder / "queries")
    gallery.save(folder / "gallery")
    scores = queries["embedding"] @ gallery["embedding"].T
    lines = [
        f"t{query} Q0 i{item} {place + 1} {row[item]} base"
        for query, row in enumerate(scores)
        for place, item in enumerate(np.argsort(-row)[:20])
    ]
    (folder / "base.trec").write_text("\n".join(lines), encoding="utf-8")
    judged = [f"t{row} 0 i{row % 30} 1\n" for row in range(40)]
    (folder / "qrels.txt").write_text("".join(judged), encoding="utf-8")
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    rows = random.normal(size=(120, 8)).astype(np.float32)
    regions = cr.Ragged(rows, np.full(30, 4))
    pictures = side(30, "image", encoder="letters", regions=regions)
    pictures.save(folder / "pictures")
    KnowledgeBank.build(_labelled(200), encoder="letters").save(folder / "bank")
