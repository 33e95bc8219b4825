"""What rerankers and encoders say of themselves without being built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """What a reranker says of itself without being built.

    Parameters
    ----------
    name
        The name of its entry point.
    summary
        One line for ``crossrank plugins``.
    paper
        Where the method comes from.
    query_features, candidate_features
        What `score` reads of the queries and of the candidates.
    explain_features
        What `explain` reads besides, of either side, where it is there.
    directions
        Such as ``("t2i", "i2t")``; empty means any.
    transductive
        Whether the score of a pair depends on other queries (seen in `prepare`).
    trained
        Whether it needs weights fitted beforehand.
    thread_safe
        Whether `score` may run in several threads at once.
    single_threaded
        Whether one call of `score` makes good use of one thread only; the other threads of a worker
        then score other queries at the same time.
    extra
        The extra of its distribution that installs what it needs.
    """

    name: str
    summary: str
    paper: str = ""
    query_features: tuple[str, ...] = ()
    candidate_features: tuple[str, ...] = ()
    explain_features: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    transductive: bool = False
    trained: bool = False
    thread_safe: bool = True
    single_threaded: bool = False
    extra: str = ""


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What an encoder says of itself without being built.

    Parameters
    ----------
    name
        The name of its entry point.
    summary
        One line for ``crossrank plugins``.
    features
        The features it can give, per modality.
    default_features
        Those it gives when nothing is asked for.
    paper
        Where the method comes from.
    extra
        The extra of its distribution that installs what it needs.
    """

    name: str
    summary: str
    features: Mapping[str, tuple[str, ...]]
    default_features: tuple[str, ...] = ("embedding", "tokens")
    paper: str = ""
    extra: str = ""
