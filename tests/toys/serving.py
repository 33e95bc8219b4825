"""A server over the toy encoder, asked without a network, and what it is sent."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import ASGIApp

import crossrank as cr
from crossrank_serve.app import build_app
from crossrank_serve.contents import Fetch
from crossrank_serve.engine import Engine
from crossrank_serve.gallery import Gallery
from crossrank_serve.limits import Limits
from crossrank_serve.searching import Searcher
from crossrank_serve.server import config_of, listen
from crossrank_serve.service import Service, refuse_addresses
from toys.basic import ToyEncoder

Colour = tuple[int, int, int]

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


class WordsReranker(cr.Reranker):
    """Each word's best token, averaged, with a link for each; it takes texts and pictures."""

    info = cr.RerankerInfo(
        name="words",
        summary="each word's best token",
        query_features=("tokens",),
        candidate_features=("tokens",),
        explain_features=("token_text", "token_boxes"),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the means."""
        pairs = block.pairs()
        values = [self._best(block, q, c).mean() for q, c in _rows(pairs)]
        return cr.Scores.of_pairs(pairs, np.array(values, np.float32))

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return a link from each token of the query to its best."""
        found = []
        for query, candidate in _rows(block.pairs()):
            matrix = block.queries["tokens"][query] @ block.candidates["tokens"][candidate].T
            links = tuple(
                cr.Link(
                    _name(block.queries, query, row),
                    _name(block.candidates, candidate, int(matrix[row].argmax())),
                    float(matrix[row].max()),
                    candidate_box=_box(block.candidates, candidate, int(matrix[row].argmax())),
                )
                for row in range(len(matrix))
            )
            ids = block.queries.ids[query], block.candidates.ids[candidate]
            found.append(cr.Evidence(*ids, float(matrix.max(axis=1).mean()), links))
        return found

    def _best(self, block: cr.Block, query: int, candidate: int) -> Any:
        matrix = block.queries["tokens"][query] @ block.candidates["tokens"][candidate].T
        return matrix.max(axis=1)


def _rows(pairs: cr.Pairs) -> Iterator[tuple[int, int]]:
    yield from zip(pairs.queries.tolist(), pairs.candidates.tolist(), strict=True)


def _name(collection: cr.Collection, row: int, token: int) -> str:
    return str(collection["token_text"][row][token]) if "token_text" in collection else str(token)


def _box(collection: cr.Collection, row: int, token: int) -> Any:
    if "token_boxes" not in collection:
        return None
    return tuple(float(value) for value in collection["token_boxes"][row][token])


class CountingEncoder(ToyEncoder):
    """Counts what it encodes, and may be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        """Encode when the gate is open."""
        assert self.gate.wait(30)
        self.encoded += [item.text or "picture" for item in items]
        return super().encode_batch(items, modality, features)


class TextOnlyEncoder(ToyEncoder):
    """Knows no pictures."""

    info = cr.EncoderInfo(
        name="text-only",
        summary="a toy of texts",
        features={"text": ToyEncoder.info.features["text"]},
        default_features=("embedding",),
    )


def engine(
    *stages: cr.Stage, encoder: cr.Encoder | None = None, limits: Limits | None = None
) -> Engine:
    """Return an engine over toys."""
    own = stages or (cr.Stage(WordsReranker()),)
    return Engine(own, ToyEncoder() if encoder is None else encoder, limits)


def toy_application() -> ASGIApp:
    """Return an application over toys, for whoever runs it elsewhere."""
    return build_app(Service(engine(), Limits()))


@contextmanager
def serving(
    *stages: cr.Stage,
    encoder: cr.Encoder | None = None,
    limits: Limits | None = None,
    tokens: tuple[bytes, ...] = (),
    fetch: Fetch = refuse_addresses,
    names: Sequence[str] = (),
    gallery: Path | None = None,
) -> Iterator[TestClient]:
    """Serve toys to a client in this process."""
    bounds = Limits() if limits is None else limits
    made = engine(*stages, encoder=encoder, limits=bounds)
    service = Service(made, bounds, fetch, names, searcher=searching(made, gallery))
    with TestClient(build_app(service, tokens), raise_server_exceptions=False) as client:
        yield client


def searching(made: Engine, folder: Path | None) -> Searcher | None:
    """Return what searches a folder of pictures, or a collection."""
    if folder is None:
        return None
    return Searcher(made, Gallery(folder, made.encoder, made.reads("image")))


def picture(colour: Colour = RED, size: tuple[int, int] = (8, 8), format: str = "PNG") -> bytes:
    """Return a picture's file."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, format)
    return file.getvalue()


def data_uri(colour: Colour = RED) -> str:
    """Return a picture as clients send it."""
    return "data:image/png;base64," + bare(colour)


def bare(colour: Colour = RED) -> str:
    """Return the same without its head."""
    return base64.b64encode(picture(colour)).decode()


@contextmanager
def listening(
    *stages: cr.Stage,
    encoder: cr.Encoder | None = None,
    tokens: tuple[bytes, ...] = (),
    limits: Limits | None = None,
    gallery: Path | None = None,
    suggestions: Sequence[str] = (),
) -> Iterator[str]:
    """Serve toys on a free port, from a thread of this process."""
    bounds = Limits() if limits is None else limits
    made = engine(*stages, encoder=encoder, limits=bounds)
    searcher = searching(made, gallery)
    service = Service(made, bounds, searcher=searcher, suggestions=suggestions)
    bound = listen("127.0.0.1", 0)
    server = uvicorn.Server(config_of(build_app(service, tokens), bounds))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
