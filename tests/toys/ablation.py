"""A small study for tests: pictures with captions, and rerankers that can be counted and broken."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr
from crossrank._files.trec import write_qrels
from crossrank.errors import ParameterError

DIMENSIONS = 6
CAPTIONS = 3


@dataclass(frozen=True, slots=True)
class NoisyParameters:
    """`seed` of the noise, its `spread`, seconds to `sleep` per call, and whether to `fail`."""

    seed: int = 0
    spread: float = 1.0
    sleep: float = 0.0
    fail: bool = False

    def __post_init__(self) -> None:
        if self.spread < 0:
            raise ParameterError(f"noisy: spread is {self.spread}; give 0 or more")


class Noisy(cr.Reranker):
    """The inner product of embeddings plus noise that belongs to the pair."""

    info = cr.RerankerInfo(
        name="noisy",
        summary="inner product with noise",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )
    Parameters = NoisyParameters
    calls = 0
    pairs = 0

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        Noisy.calls += 1
        Noisy.pairs += int(block.mask.sum())
        time.sleep(self.params.sleep)
        if self.params.fail:
            raise RuntimeError("out of luck")
        rows = block.candidate_rows[block.index]
        asked = block.query_rows[:, None]
        noise = np.sin(1.0 + 12.9898 * asked + 78.233 * rows + 37.7 * self.params.seed)
        gathered = block.candidates["embedding"][block.index]
        products = np.einsum("qd,qkd->qk", block.queries["embedding"], gathered)
        return cr.Scores((products + self.params.spread * noise).astype(np.float32))

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        scores = self.score(block, state).values
        return [
            cr.Evidence(
                block.queries.ids[row],
                block.candidates.ids[block.index[row, place]],
                float(scores[row, place]),
                (
                    cr.Link("a <word>", "part", 0.5, candidate_box=(0.0, 0.0, 0.5, 0.5)),
                    cr.Link("other", "part", 0.25, candidate_box=(0.5, 0.5, 1.0, 1.0)),
                ),
            )
            for row, place in np.argwhere(block.mask)
        ]


class OnlyText(Noisy):
    """For one direction."""

    info = cr.RerankerInfo(
        name="only-text",
        summary="texts find pictures",
        query_features=("embedding",),
        candidate_features=("embedding",),
        directions=("t2i",),
    )


class Crowded(cr.Reranker):
    """Scores a pair by how early other queries list the candidate: transductive."""

    info = cr.RerankerInfo(name="crowded", summary="hubs", transductive=True)

    def prepare(self, context: cr.Context) -> Any:
        candidates = context.lists
        early = np.arange(candidates.index.shape[1])[None, :] < 2
        chosen = candidates.index[candidates.mask & early]
        return np.bincount(chosen, minlength=len(context.gallery)).astype(np.float32)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        return cr.Scores(-state[block.candidate_rows][block.index])


def split(
    count: int = 20, seed: int = 0, name: str = "x", folder: Path | None = None, depth: int = 12
) -> cr.Split:
    """Return pictures with `CAPTIONS` captions each, whose embeddings are noisy copies."""
    rng = np.random.default_rng(seed)
    pictures = _unit(rng.normal(size=(count, DIMENSIONS)))
    captions = _unit(np.repeat(pictures, CAPTIONS, axis=0) + _noise(rng, count * CAPTIONS))
    ids = [f"{name}{row}.png" for row in range(count)]
    texts = [f"{id}#{number}" for id in ids for number in range(CAPTIONS)]
    extra: dict[str, Any] = {}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for row, id in enumerate(ids):
            Image.new("RGB", (40, 30), (10 * row % 255, 90, 120)).save(folder / id)
        extra["path"] = [str(folder / id) for id in ids]
    boxes = [np.array([[0, 0, 0.1 * (1 + row % 5), 0.3]] * (row % 4)) for row in range(count)]
    gallery = cr.Collection(
        ids,
        "image",
        embedding=pictures,
        boxes=cr.Ragged.from_list([each.reshape(-1, 4) for each in boxes]),
        **extra,
    )
    queries = cr.Collection(
        texts,
        "text",
        embedding=captions,
        text=[" ".join(["word"] * (3 + number % 7)) for number in range(len(texts))],
    )
    qrels = {text: text.rpartition("#")[0] for text in texts}
    return cr.Split(queries, gallery, qrels, depth=depth)


def saved(folder: Path, count: int = 20, pictures: bool = False) -> Path:
    """Write a report and a tune split as ``crossrank ablate`` reads them, and return the folder."""
    for name, seed in (("test", 0), ("val", 1)):
        images = folder / "pictures" if pictures else None
        made = split(count, seed, name, images)
        made.queries.save(folder / name / "texts")
        made.gallery.save(folder / name / "images")
        judged = {query: {str(item): 1} for query, item in dict(made.qrels).items()}  # type: ignore[arg-type]
        write_qrels(folder / name / "qrels.txt", judged)
    return folder


DATA = """
[data.report]
queries = "test/texts"
gallery = "test/images"
qrels = "test/qrels.txt"
depth = 12
"""

TUNE = """
[data.tune]
queries = "val/texts"
gallery = "val/images"
qrels = "val/qrels.txt"
depth = 12
"""


def _noise(rng: np.random.Generator, count: int) -> np.ndarray:
    return 0.9 * rng.normal(size=(count, DIMENSIONS))


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


FAST = {"resamples": 199}


def pipeline(*seeds: int, **settings: Any) -> cr.Pipeline:
    return cr.Pipeline(
        [cr.Stage(Noisy, params={"seed": n}, name=f"s{n}", **settings) for n in seeds]
    )
