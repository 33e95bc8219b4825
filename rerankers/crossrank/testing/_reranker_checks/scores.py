"""The form of scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossrank._items.collection import Collection
from crossrank.errors import CrossrankError
from crossrank.plugin.contract import Block, Scores
from crossrank.testing._arrays import with_arrays
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import require


def scores_are_float32_of_the_blocks_shape(case: RerankerCase) -> None:
    """Expect `Scores` with float32 values ``[Q, K]``, and a bool mask or None."""
    run = case.start()
    for block in (run.block(), *(run.block([row]) for row in run.rows())):
        _require_form(block, run.scorer.score(block, run.state))


def scores_are_finite_or_abstained(case: RerankerCase) -> None:
    """Expect neither NaN nor infinity."""
    run = case.start()
    _require_finite(run.block(), run.scorer.score(run.block(), run.state))


def features_of_any_float_type_are_scored(case: RerankerCase) -> None:
    """Expect finite float32 scores of features in half and in double precision."""
    for dtype in (np.float16, np.float64):
        try:
            run = case.start(queries=_cast(case.queries, dtype), gallery=_cast(case.gallery, dtype))
            block = run.block()
            scores = run.scorer.score(block, run.state)
        except CrossrankError:
            continue  # refusing a type in so many words is fair
        where = f", given features of {np.dtype(dtype)}"
        _require_form(block, scores, where)
        _require_finite(block, scores, where)


def _require_form(block: Block, scores: Any, where: str = "") -> None:
    require(
        isinstance(scores, Scores),
        f"score() returned a {type(scores).__name__}{where}; return crossrank.Scores",
    )
    for name, wanted in (("values", np.dtype(np.float32)), ("abstained", np.dtype(np.bool_))):
        array = getattr(scores, name)
        if name == "abstained" and array is None:
            continue
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        require(
            isinstance(array, np.ndarray) and array.dtype == wanted,
            f"the {name} of the scores are {found}{where}; return a numpy array of {wanted}",
        )
        require(
            array.shape == block.mask.shape,
            f"the {name} of the scores have shape {array.shape} for a block of "
            f"{block.mask.shape}{where}; return one entry per place, masked ones included: "
            "a reranker cannot drop a candidate",
        )
    require(isinstance(scores.reason, str), f"the reason is {scores.reason!r:.80}; give a str")


def _require_finite(block: Block, scores: Scores, where: str = "") -> None:
    wrong = block.mask & ~np.isfinite(scores.values)
    if scores.abstained is not None:
        wrong &= ~scores.abstained
    for row, place in np.argwhere(wrong):
        raise AssertionError(
            f"query {block.queries.ids[row]!r} and candidate "
            f"{block.candidates.ids[block.index[row, place]]!r} got "
            f"{scores.values[row, place]}{where}; scores must be finite: abstain where there is "
            "none (−inf does not drop a candidate)"
        )


def _cast(collection: Collection, dtype: type[np.floating[Any]]) -> Collection:
    return with_arrays(
        collection, lambda array: array.astype(dtype) if array.dtype.kind == "f" else array
    )
