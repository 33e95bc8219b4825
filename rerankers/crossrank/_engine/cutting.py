"""What is returned of every list: its columns by final rank, as far as wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import check_count, checked, finite
from crossrank._lists.calibration import Calibration
from crossrank._lists.candidates import Candidates
from crossrank._lists.ordering import arrange, by_rank
from crossrank._lists.rankings import Rankings
from crossrank._lists.stage_scores import StageScores
from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Cuts:
    """What is returned of every list; see `Pipeline.rerank`."""

    top_k: int | None = None
    score_threshold: float | None = None
    min_probability: float | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(
        cls,
        top_k: int | None,
        score_threshold: float | None,
        min_probability: float | None,
        calibration: Calibration | None,
    ) -> Cuts:
        """Read them as callers write them.

        Raises
        ------
        ParameterError
            On what is no such number, or a probability where nothing gives one.
        """
        if top_k is not None:
            check_count("rerank", "top_k", top_k)
        if score_threshold is not None:
            checked("rerank", "score_threshold", score_threshold, finite)
        if min_probability is not None:
            if not 0 <= checked("rerank", "min_probability", min_probability, finite) <= 1:
                raise ParameterError(
                    f"rerank: min_probability is {min_probability!r:.80}; give a number from 0 to 1"
                )
            if calibration is None:
                raise ParameterError(
                    "rerank: min_probability cuts by probability, which this pipeline does not "
                    "give; make it as Pipeline(stages, calibration=FILE) of crossrank calibrate"
                )
        return cls(top_k, score_threshold, min_probability, calibration)


def cut(
    candidates: Candidates,
    scores: NDArray[np.float64],
    score_ranks: NDArray[np.int64],
    base_ranks: NDArray[np.int64],
    stages: Sequence[StageScores],
    direction: str,
    cuts: Cuts,
) -> Rankings:
    """Arrange every column by final rank and cut the lists."""
    depth = candidates.depth
    order = by_rank(score_ranks)[:, :depth]
    probabilities = confidences = None
    if cuts.calibration is not None:  # before the lists are cut
        probabilities = cuts.calibration.probabilities(arrange(scores, order))
        if cuts.calibration.confidence is not None:
            confidences = cuts.calibration.confidence.of(
                arrange(scores, order), arrange(candidates.mask, order)
            )
    order = order[:, : depth if cuts.top_k is None else min(cuts.top_k, depth)]
    rows = np.arange(len(order))

    mask = arrange(candidates.mask, order)
    final = arrange(scores, order)
    if cuts.score_threshold is not None:
        mask = mask & (final >= cuts.score_threshold)
    if probabilities is not None:
        probabilities = probabilities[:, : order.shape[1]]
        if cuts.min_probability is not None:
            mask = mask & (probabilities >= cuts.min_probability)
        probabilities = np.where(mask, probabilities, np.nan)
    base = candidates.scores
    # where one may stand twice, its row does not tell which of them it is
    places = np.where(mask, order, 0) if candidates.repeats else None
    return Rankings(
        query_ids=candidates.query_ids,
        candidate_ids=candidates.candidate_ids,
        index=np.where(mask, arrange(candidates.index, order), 0),
        final=np.where(mask, final, np.nan),
        mask=mask,
        base_scores=None if base is None else np.where(mask, arrange(base, order), np.nan),
        base_ranks=np.where(mask, arrange(base_ranks, order), 0),
        stages=tuple(stage.arranged(rows, order).where(mask) for stage in stages),
        direction=direction,
        probabilities=probabilities,
        confidences=confidences,
        places=places,
    )
