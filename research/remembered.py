"""Raw scores of an earlier run as a reranker: many weights are tried without scoring again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr


class Remembered(cr.Reranker):
    """Gives the raw scores of an earlier run again, so that many weights can be tried on them."""

    info = cr.RerankerInfo(name="remembered", summary="the raw scores of an earlier run")

    @dataclass(frozen=True, slots=True)
    class Parameters:
        """The earlier run over the same queries and gallery, and which of its stages."""

        rankings: cr.Rankings
        stage: str

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """``[queries, gallery]``, NaN where it gave none or abstained."""
        rankings = self.params.rankings
        shape = (len(rankings.query_ids), len(rankings.candidate_ids))
        matrix = np.full(shape, np.nan, np.float32)
        np.put_along_axis(matrix, rankings.index, rankings.scores(self.params.stage), axis=1)
        return matrix

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Look the scores up."""
        values = self.matrix[block.query_rows[:, None], block.candidate_rows[block.index]]
        unknown = np.isnan(values)
        return cr.Scores(np.where(unknown, np.float32(0), values), unknown & block.mask)
