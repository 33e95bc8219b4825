"""The one call that all hosts make, and what a host found, in the form that it takes."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

from PIL import Image

import crossrank as cr
from crossrank.errors import InputError

SIDES = ("image", "text", "both")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One thing that a host found.

    Parameters
    ----------
    id
        What the host calls it; None for nothing.
    image, text
        Its picture in any form that `crossrank.Item` takes, and its text; None for neither.
    score
        What the host said of it, higher is better; None or NaN for nothing.
    features
        Those that the host stores, such as ``tokens``.
    """

    id: str | None = None
    image: Any = None
    text: str | None = None
    score: float | None = None
    features: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SecondLook:
    """How to rerank, whatever the host.

    Parameters
    ----------
    reranker, encoder, fusion, score_threshold, params
        See `crossrank.rerank`.
    show
        What of a candidate with a picture and a text is looked at: ``"image"`` or ``"text"``, or
        ``"both"`` for an encoder that knows both at once.  One that has only the other is judged
        by that.
    """

    reranker: Any = "filip"
    encoder: str | cr.Encoder = "lite"
    fusion: cr.Fusion | None = None
    score_threshold: float | None = None
    show: str = "image"
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.show not in SIDES:
            raise InputError(f"show is {self.show!r}; give one of {', '.join(map(repr, SIDES))}")

    def __call__(
        self, query: Any, found: Sequence[Found], top_k: int | None = None
    ) -> list[cr.Hit]:
        """Return the hits, best first; `Hit.index` is a place in `found`.

        A candidate without a score stands, for the base order, with the lowest that has one; its
        hit says None.  Without any score the base order is that of `found`.
        """
        if not found:
            return []
        scores = [_number(each.score) for each in found]
        ranking = cr.rerank(
            query,
            [self._item(each, place) for place, each in enumerate(found)],
            self.reranker,
            encoder=self.encoder,
            base_scores=_complete(scores),
            top_k=top_k,
            score_threshold=self.score_threshold,
            fusion=self.fusion,
            **self.params,
        )
        return [
            replace(hit, id=found[hit.index].id or hit.id, base_score=scores[hit.index])
            for hit in ranking
        ]

    def warm_up(self) -> None:
        """Load the encoder's weights, for texts and for pictures."""
        for item in ("a picture", Image.new("RGB", (8, 8))):
            cr.encode(self.encoder, [item])

    def _item(self, found: Found, place: int) -> cr.Item:
        image, text = found.image, found.text
        if image is not None and text is not None and self.show != "both":
            image, text = (image, None) if self.show == "image" else (None, text)
        if isinstance(image, bytes):
            image = Image.open(io.BytesIO(image))
        return cr.Item(str(place), text, image, **found.features)


def account(hit: cr.Hit) -> dict[str, Any]:
    """Return what a host's metadata keep of a hit, as JSON can hold it."""
    told = hit.to_dict()
    kept = {name: told[name] for name in ("base_score", "base_rank")}
    return {"relevance_score": hit.score, **kept, "trace": list(told["trace"])}


ACCOUNT = ("relevance_score", "base_score", "base_rank", "trace")
"""The names of `account`."""


def _number(score: object) -> float | None:
    """Return a score as a float; None where there is none, or none that orders anything."""
    if isinstance(score, bool) or not (isinstance(score, Real) or hasattr(score, "__float__")):
        return None
    value = float(score)
    return value if math.isfinite(value) else None


def _complete(scores: Sequence[float | None]) -> list[float] | None:
    known = [score for score in scores if score is not None]
    if not known:
        return None
    return [min(known) if score is None else score for score in scores]
