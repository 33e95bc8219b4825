"""A request and its answer, whatever the dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crossrank import Evidence, Hit


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a query or document: a text, or a picture as the client sent it.

    Parameters
    ----------
    text
        The words, None for a picture.
    picture
        A data URI, bare base64 or an URL, None for a text.
    """

    text: str | None = None
    picture: str | None = None


Content = tuple[Part, ...]
"""A query or document: one part or several."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One query with its documents.

    Parameters
    ----------
    query
        What is asked.
    documents
        In base order where there are no base scores.
    base_scores
        One number each, fused with the new ones; None for the new ones alone.
    """

    query: Content
    documents: tuple[Content, ...]
    base_scores: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Spans:
    """Which evidence to show as spans and regions.

    Parameters
    ----------
    threshold
        The least weight, None for any.
    most
        How many of each document, best first; None for all.
    """

    threshold: float | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a request asks for.

    Parameters
    ----------
    asks
        One, or several for scores of pairs.
    model
        The name the client used, None for none.
    top
        How many hits to return, None for all.
    documents
        As they were sent, if they are to be returned.
    trace
        Whether to add to each hit what each stage did.
    explain
        Whether to add evidence besides.
    spans
        How to show evidence as spans, None for not at all.
    deadline
        Seconds the client is ready to wait, None for the server's own.
    warnings
        What of the request has no effect here.
    """

    asks: tuple[Ask, ...]
    model: str | None = None
    top: int | None = None
    documents: Sequence[Any] | None = None
    trace: bool = False
    explain: bool = False
    spans: Spans | None = None
    deadline: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """What came of one `Ask`.

    Parameters
    ----------
    hits
        Best first; ``hit.index`` is the place in the request.
    evidence
        Per place what each stage saw, where it was asked for.
    left_out
        Stages for which there was no time.
    tokens
        How many tokens both sides had.
    """

    hits: tuple[Hit, ...]
    evidence: Mapping[int, Mapping[str, Evidence]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    tokens: int = 0
