"""Encoding pieces of many requests at once, each by its content and only if it is not known."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import crossrank as cr
from crossrank_serve.contents import Job, Piece
from crossrank_serve.feature_cache import FeatureCache, Features
from crossrank_serve.limits import Limits
from crossrank_serve.pictures import open_picture, pixels_of
from crossrank_serve.problems import RequestError, problem_of

BATCH_PIXELS = 64_000_000
"""Decoded at once: 192 MB."""

BATCH_CHARACTERS = 100_000
"""Of texts encoded at once: seconds, after which it is asked whether anybody still waits."""

Key = tuple[str, bytes]
Wanted = tuple[Piece, tuple[str, ...]]


class Encoded:
    """The features of every piece of some jobs, or what was wrong with it."""

    def __init__(
        self,
        encoder: cr.Encoder,
        features: Mapping[Key, Features],
        problems: Mapping[Key, RequestError],
    ) -> None:
        self._encoder = encoder
        self._features = features
        self._problems = problems

    def problem(self, job: Job) -> RequestError | None:
        """Return what is wrong with the first bad piece of a job."""
        for piece in (*job.query, *job.documents):
            found = self._problems.get((piece.modality, piece.key))
            if found is not None:
                # another request may have sent the same picture in another place
                place = str(found).replace("{}", piece.name, 1)
                return RequestError(found.status, place, found.retry_after)
        return None

    def query(self, job: Job, id: str) -> list[cr.Item]:
        """Return a job's query as items that bring their features."""
        return [self.item(piece, id) for piece in job.query]

    def documents(self, job: Job, query: str) -> list[cr.Item]:
        """Return a job's documents likewise."""
        return [self.item(p, f"{query}/{place}") for place, p in enumerate(job.documents)]

    def item(self, piece: Piece, id: str) -> cr.Item:
        """Return a piece as an item; of a picture the features are all that is looked at."""
        features = self._features[piece.modality, piece.key]
        if piece.modality == "image+text":
            return cr.Item(id, piece.text, _blank(), **features)
        return cr.Item(id, piece.text, **features)

    def tokens(self, job: Job) -> int:
        """Return how many tokens both sides have: words where the encoder counts none."""
        return sum(self._length(piece) for piece in (*job.query, *job.documents))

    def evidence(
        self, job: Job, places: Sequence[int], pipeline: cr.Pipeline
    ) -> dict[int, Mapping[str, cr.Evidence]]:
        """Return per document and stage what speaks for it; parts of a query are put together."""
        found: dict[int, dict[str, cr.Evidence]] = {place: {} for place in places}
        for kind in sorted({job.documents[place].modality for place in places}):
            own = [place for place in places if job.documents[place].modality == kind]
            gallery = self.collection([(job.documents[place], str(place)) for place in own])
            for piece in job.query:
                query = self.collection([(piece, "query")])
                shown = pipeline.explain(query, gallery, "query", [str(place) for place in own])
                for stage, evidence in shown.items():
                    for place, each in zip(own, evidence, strict=False):
                        other = found[place].get(stage)
                        found[place][stage] = each if other is None else _both(other, each)
        return dict(found)

    def collection(self, pieces: Sequence[tuple[Piece, str]]) -> cr.Collection:
        """Return pieces of one modality as a collection."""
        items = [self.item(piece, id) for piece, id in pieces]
        names = tuple(name for name in items[0].features)
        return cr.encode(self._encoder, items, pieces[0][0].modality, names)

    def _length(self, piece: Piece) -> int:
        tokens = self._features[piece.modality, piece.key].get("tokens")
        return len(tokens) if tokens is not None else len((piece.text or "picture").split())


class PieceEncoder:
    """Encodes what a cache does not hold.

    Parameters
    ----------
    encoder
        What encodes.
    cache
        Where features are kept.
    limits
        Of pictures.
    """

    def __init__(self, encoder: cr.Encoder, cache: FeatureCache, limits: Limits) -> None:
        self._encoder = encoder
        self._cache = cache
        self._limits = limits
        self.closed = False

    def encode(self, wanted: Sequence[Wanted], until: float = math.inf) -> Encoded:
        """Return the features of pieces, each of another content.

        A piece that cannot be encoded has a problem instead, and harms no other; so have those
        that are not begun by `until` (of `time.monotonic`), or once this is `closed`.
        """
        features: dict[Key, Features] = {}
        problems: dict[Key, RequestError] = {}
        missing: dict[tuple[str, tuple[str, ...]], list[Piece]] = {}
        for piece, names in wanted:
            known = self._cache.get(_key(piece))
            if known is not None and all(name in known for name in names):
                features[piece.modality, piece.key] = {name: known[name] for name in names}
            elif not names:
                features[piece.modality, piece.key] = {}
            else:
                missing.setdefault((piece.modality, names), []).append(piece)
        for (modality, names), pieces in missing.items():
            for batch in self._batches(pieces, problems):
                if self.closed or time.monotonic() > until:
                    late = RequestError(
                        504, "there was no time left to encode it; send less at once"
                    )
                    problems |= {(modality, piece.key): late for piece in batch}
                    continue
                for piece, made in self._encoded(batch, modality, names, problems):
                    features[modality, piece.key] = made
                    self._cache.put(_key(piece), {**(self._cache.get(_key(piece)) or {}), **made})
        return Encoded(self._encoder, features, problems)

    def _batches(
        self, pieces: Sequence[Piece], problems: dict[Key, RequestError]
    ) -> Iterator[list[Piece]]:
        """Yield what is decoded at once; refuse by their headers what is too large."""
        batch: list[Piece] = []
        pixels = characters = 0
        for piece in pieces:
            try:
                more = 0 if piece.picture is None else pixels_of("{}", piece.picture, self._limits)
            except RequestError as problem:
                problems[piece.modality, piece.key] = problem
                continue
            longer = len(piece.text or "")
            full = (
                pixels + more > BATCH_PIXELS
                or characters + longer > BATCH_CHARACTERS
                or (piece.picture is not None and len(batch) >= self._encoder.batch_size)
            )
            if batch and full:
                yield batch
                batch, pixels, characters = [], 0, 0
            batch.append(piece)
            pixels += more
            characters += longer
        if batch:
            yield batch

    def _encoded(
        self,
        pieces: Sequence[Piece],
        modality: str,
        names: tuple[str, ...],
        problems: dict[Key, RequestError],
    ) -> Iterator[tuple[Piece, Features]]:
        opened: list[tuple[Piece, cr.Item]] = []
        for piece in pieces:
            try:
                opened.append((piece, self._opened(piece, str(len(opened)))))
            except RequestError as problem:
                problems[modality, piece.key] = problem
        if not opened:
            return
        try:
            made = cr.encode(self._encoder, [item for _, item in opened], modality, names)
        except Exception as error:
            if len(opened) > 1:
                for piece, _ in opened:
                    yield from self._encoded([piece], modality, names, problems)
            else:
                problems[modality, opened[0][0].key] = problem_of(error)
            return
        for row, (piece, _) in enumerate(opened):
            yield piece, {name: _kept(made[name][row]) for name in names}

    def _opened(self, piece: Piece, id: str) -> cr.Item:
        image = None
        if piece.picture is not None:
            image = open_picture("{}", piece.picture, self._limits)
        return cr.Item(id, piece.text, image)


def _key(piece: Piece) -> bytes:
    return piece.modality.encode() + piece.key


def _kept(value: Any) -> Any:
    """Return one item's feature without the batch that it is a view of."""
    return value.copy() if hasattr(value, "copy") and hasattr(value, "nbytes") else value


def _both(left: cr.Evidence, right: cr.Evidence) -> cr.Evidence:
    return cr.Evidence(
        left.query_id,
        left.candidate_id,
        (left.score + right.score) / 2,
        left.links + right.links,
        left.maps + right.maps,
    )


def _blank() -> Any:
    from PIL import Image

    return Image.new("RGB", (1, 1))
