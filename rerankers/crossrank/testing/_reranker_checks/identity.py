"""What a reranker says of itself, and the parameters it takes."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from crossrank.errors import CrossrankError
from crossrank.plugin.contract import Reranker, RerankerInfo
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import require
from crossrank.testing._differences import require_same_scores
from crossrank.testing._identity import (
    require_names,
    require_plugin_class,
    require_stable_fingerprint,
)
from crossrank.testing._parameters import variations

TUPLES = ("query_features", "candidate_features", "explain_features", "directions")


def info_is_complete(case: RerankerCase) -> None:
    """Expect ``info`` to be there, and every field of its type."""
    info: Any = require_plugin_class(case.kind, Reranker, RerankerInfo)
    for name in TUPLES:
        require_names(getattr(info, name), f"info.{name}")
    for direction in info.directions:
        require(
            re.fullmatch(r"(t|i|it)2(t|i|it)", direction) is not None,
            f"info.directions holds {direction!r}; write <query>2<candidate> over t, i and it",
        )
    for name in ("transductive", "trained", "thread_safe", "single_threaded"):
        require(
            isinstance(getattr(info, name), bool),
            f"info.{name} is {getattr(info, name)!r:.80}; give True or False",
        )


def fingerprints_are_stable(case: RerankerCase) -> None:
    """Expect equal fingerprints of equal parameters, before and after use."""
    used = case.start()
    used.scores()
    require_stable_fingerprint(used.scorer, case.build())


def equal_fingerprints_mean_equal_scores(case: RerankerCase) -> None:
    """Expect a new fingerprint where a parameter changes scores."""
    usual = case.start()
    scores = usual.scores()
    for name, changed in variations(case.kind, case.params):
        other = dataclasses.replace(case, params=changed)
        if other.build().fingerprint() != usual.scorer.fingerprint():
            continue
        try:
            found = other.start().scores()
        except CrossrankError:
            continue
        require_same_scores(
            scores,
            found,
            f"with {name}={changed[name]!r} under the same fingerprint",
            "let fingerprint() depend on every parameter that matters",
        )
