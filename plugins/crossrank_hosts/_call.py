"""The one call that all hosts make, and what a host found, in the form that it takes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from numbers import Real
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError, InputError
from crossrank_hosts._contents import as_path, opened

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
    same
        What two have in common that are the same; by default picture, text and features.
    """

    id: str | None = None
    image: Any = None
    text: str | None = None
    score: float | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    same: Any = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SecondLook:
    """How to rerank, whatever the host.

    Parameters
    ----------
    reranker, encoder, fusion, weight, score_threshold, device, threads, on_error, cache, params
        See `crossrank.rerank`.
    on_item
        See `crossrank.rerank`; here ``"keep"`` is usual, since what a host found is mixed: a
        candidate that cannot be scored stays, below the others, and its trace says why.
    gallery
        A stored `crossrank.Collection`, or its folder: candidates are found in it by the host's
        ids, or else by the paths of their pictures, and no picture is opened.
    show
        What of a candidate with a picture and a text is looked at: ``"image"`` or ``"text"``, or
        ``"both"`` for an encoder that knows both at once.  One that has only the other is judged
        by that.
    """

    reranker: Any = "filip"
    encoder: Any = None
    gallery: str | Path | cr.Collection | None = None
    fusion: Any = None
    weight: float | None = None
    score_threshold: float | None = None
    device: str = "cpu"
    threads: int | None = None
    on_error: str = "raise"
    cache: bool | str | Path = True
    on_item: str = "keep"
    show: str = "image"
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, reranker: Any, settings: Mapping[str, Any]) -> SecondLook:
        """Take the settings above out of keyword arguments; the rest are the reranker's."""
        own = {each.name for each in fields(cls)}
        params = {name: value for name, value in settings.items() if name not in own}
        params |= settings.get("params") or {}
        given = {name: value for name, value in settings.items() if name in own}
        return cls(**{**given, "reranker": reranker, "params": params})

    def __post_init__(self) -> None:
        if self.show not in SIDES:
            raise InputError(
                f"show is {self.show!r:.80}; give one of {', '.join(map(repr, SIDES))}"
            )

    def __call__(
        self, query: Any, found: Sequence[Found], top_k: int | None = None
    ) -> list[cr.Hit]:
        """Return the hits, best first; `Hit.index` is a place in `found`, which has the host's id.

        A candidate without a score stands, for the base order, with the lowest that has one; its
        hit says None.  Without any score the base order is that of `found`.
        """
        return self.many([query], [found], top_k)[0]

    def many(
        self, queries: Sequence[Any], lists: Sequence[Sequence[Found]], top_k: int | None = None
    ) -> list[list[cr.Hit]]:
        """Do the same for several queries at once, each with its own list."""
        if not any(lists):
            return [[] for _ in lists]
        scores = [[_number(each.score) for each in found] for found in lists]
        rankings = cr.rerank_many(
            [_named(query, place) for place, query in enumerate(queries)],
            reranker=self.reranker,
            encoder=self.encoder,
            base_scores=_complete(scores),
            top_k=top_k,
            score_threshold=self.score_threshold,
            fusion=self.fusion,
            weight=self.weight,
            device=self.device,
            threads=self.threads,
            on_error=self.on_error,
            cache=self.cache,
            on_item=self.on_item,
            **self._candidates(lists),
            **self.params,
        )
        return [
            [_told(hit, said) for hit in ranking]
            for ranking, said in zip(rankings.values(), scores, strict=True)
        ]

    def settings(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def warm_up(self) -> None:
        """Load the encoder's weights, for texts and for pictures."""
        if self.gallery is None:
            for item in ("a picture", Image.new("RGB", (8, 8))):
                cr.encode("lite" if self.encoder is None else self.encoder, [item])

    def _candidates(self, lists: Sequence[Sequence[Found]]) -> dict[str, Any]:
        if self.gallery is None:
            names: dict[Any, str] = {}
            stored = all(each.features for found in lists for each in found)
            return {
                "candidate_lists": [
                    [self._item(each, names, stored) for each in found] for found in lists
                ]
            }
        gallery = self.gallery
        if not isinstance(gallery, cr.Collection):
            gallery = cr.Collection.open(gallery)
        ids = [_stored_ids(found, gallery) for found in lists]
        return {"candidate_lists": gallery, "ids": ids}

    def _item(self, found: Found, names: dict[Any, str], stored: bool) -> Any:
        """Return what `crossrank.rerank` takes; what it refuses it gets as it is, and says why.

        What is no file is named by its content, so that one of several lists is encoded once.
        """
        image, text = found.image, found.text
        if stored:
            return cr.Item(_name(found, names), **found.features)
        if image is not None and text is not None and self.show != "both":
            image, text = (image, None) if self.show == "image" else (None, text)
        if image is None and text is None:
            return ""
        if text is None and (path := as_path(image)) is not None:
            return path
        try:
            return cr.Item(_name(found, names), text, opened(image))
        except CrossrankError:
            return image


Read = Callable[[Any], Any]
Call = TypeVar("Call", bound=Callable[..., Any])


def told_apart(query: Any, found: Any, read: Read, mend: str) -> tuple[Any, Any, Any]:
    """Return query, what a host found, and what `read` finds in that; in either order.

    Parameters
    ----------
    query, found
        As the caller gave them.
    read
        Returns what is to be ranked, None for what the host never returns.
    mend
        What to give where neither is such.

    Raises
    ------
    InputError
        If neither is.
    """
    read_of = read(found)
    if read_of is None and (other := read(query)) is not None:  # written the other way round
        return found, query, other
    if read_of is None:
        raise InputError(mend)
    return query, found, read_of


def in_a_thread(call: Call) -> Callable[..., Awaitable[Any]]:
    """Return the same call for asynchronous programs, which runs in a thread."""

    @wraps(call)
    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(call, *args, **kwargs)

    asynchronous.__name__ = asynchronous.__qualname__ = f"a{call.__name__}"
    asynchronous.__doc__ = f"Do the same in a thread; see `{call.__name__}`."
    return asynchronous


SETTINGS = tuple(each.name for each in fields(SecondLook))
"""What an adapter hands on to `SecondLook`."""

TRACE = tuple(each.name for each in fields(cr.Trace))
_numbers_of = attrgetter(*TRACE)


def account(hit: cr.Hit) -> dict[str, Any]:
    """Return what a host's metadata keep of a hit, as JSON can hold it."""
    return {
        "relevance_score": hit.score,
        "base_score": hit.base_score,
        "base_rank": hit.base_rank,
        # to_dict would copy every number of it, which takes longer than scoring
        "trace": [dict(zip(TRACE, _numbers_of(stage), strict=True)) for stage in hit.trace],
    }


ACCOUNT = ("relevance_score", "base_score", "base_rank", "trace")
"""The names of `account`."""


def _number(score: object) -> float | None:
    """Return a score as a float; None where there is none, or none that orders anything."""
    if type(score) is float:  # most are, and it takes long to ask whether something is a Real
        return score if math.isfinite(score) else None
    if score is None or isinstance(score, bool):
        return None
    if not (isinstance(score, Real) or hasattr(score, "__float__")):
        return None
    try:
        value = float(score)
    except (TypeError, ValueError, OverflowError):  # an array of several, a whole number too large
        return None
    return value if math.isfinite(value) else None


def _complete(scores: Sequence[Sequence[float | None]]) -> list[list[float]] | None:
    """Fill in what is missing; None if no list has a score."""
    if not any(score is not None for each in scores for score in each):
        return None
    lowest = [min((score for score in each if score is not None), default=0.0) for each in scores]
    return [
        [low if score is None else score for score in each]
        for each, low in zip(scores, lowest, strict=True)
    ]


def _stored_ids(found: Sequence[Found], gallery: cr.Collection) -> list[str]:
    """Return by which names a gallery has candidates: the host's ids, or paths of pictures."""
    names = [
        [str(name) for name in (each.id, each.image) if isinstance(name, str | Path)]
        or [str(each.id)]
        for each in found
    ]
    rows = iter(gallery.rows(name for own in names for name in own))
    known = [[name for name in own if next(rows) >= 0] for own in names]
    return [have[0] if have else own[0] for have, own in zip(known, names, strict=True)]


def _name(found: Found, names: dict[Any, str]) -> str:
    return names.setdefault(_content(found), str(len(names)))


def _content(found: Found) -> Any:
    if found.same is not None:
        return found.same
    image = found.image
    if not isinstance(image, str | bytes | Path):
        image = id(image) if image is not None else None
    return image, found.text, tuple(sorted((k, id(v)) for k, v in found.features.items()))


def _named(query: Any, place: int) -> Any:
    """Give a query an id of its own: pictures would be called by their paths, and may repeat."""
    if isinstance(query, list | tuple) and query:
        return [_named(query[0], place), *query[1:]]
    if isinstance(query, cr.Item):
        return cr.Item(str(place), query.text, query.image, **query.features)
    if isinstance(query, Path | Image.Image):
        return cr.Item(str(place), image=query)
    return query


def _told(hit: cr.Hit, scores: Sequence[float | None]) -> cr.Hit:
    """Return a hit that says of the base what the host said, which may be nothing."""
    score = scores[hit.index]
    return hit if score == hit.base_score else replace(hit, base_score=score)
