"""Results with what is known of their relevance, in columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank.evaluation import QrelsLike, as_qrels, clusters_by_relevance, relevant_sets

Floats: TypeAlias = NDArray[np.float64]
RunLike: TypeAlias = cr.Rankings | Mapping[str, Mapping[str, float | None]] | str | Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Judged lists, best first.

    Parameters
    ----------
    scores
        ``[Q, K]`` float64.
    mask
        ``[Q, K]`` bool, a prefix of every row.
    relevant
        ``[Q, K]`` bool.
    clusters
        ``[Q]`` the same number for queries with the same relevant items: captions of one image.
    """

    scores: Floats
    mask: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    clusters: NDArray[np.int64]

    @classmethod
    def of(cls, run: RunLike, qrels: QrelsLike) -> Labelled:
        """Join a run and judgements; queries that are not judged are left out, and counted.

        Raises
        ------
        InputError
            If no query of the run is judged, or nothing is listed.
        """
        judged = as_qrels(qrels)
        ids, lists = _lists(run)
        rows = [row for row, id in enumerate(ids) if id in judged]
        if not rows:
            raise InputError(
                f"calibrate: none of the run's {len(ids)} queries is judged; give the qrels that "
                "belong to it"
            )
        if len(rows) < len(ids):
            log.warning(
                "calibrate: %d of %d queries are not judged", len(ids) - len(rows), len(ids)
            )
        sets = relevant_sets(judged, [ids[row] for row in rows])
        width = max(len(lists[row]) for row in rows)
        if not width:
            raise InputError("calibrate: the judged queries list nothing; give a run with results")
        scores = np.zeros((len(rows), width))
        mask = np.zeros(scores.shape, np.bool_)
        relevant = np.zeros(scores.shape, np.bool_)
        for place, row in enumerate(rows):
            members = lists[row]
            scores[place, : len(members)] = [score for _, score in members]
            mask[place, : len(members)] = True
            relevant[place, : len(members)] = [id in sets[place] for id, _ in members]
        if not np.isfinite(scores[mask]).all():
            raise InputError("calibrate: a score is not finite; give a run with finite scores")
        return cls(scores, mask, relevant, clusters_by_relevance(sets))

    def pairs(self, rows: NDArray[np.bool_] | None = None) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the scores and labels of all pairs, or of those of some rows."""
        mask = self.mask if rows is None else self.mask & rows[:, None]
        return self.scores[mask], self.relevant[mask]

    def reciprocal_ranks(self) -> Floats:
        """Return ``[Q]`` 1 over the rank of the first relevant hit, 0 without one."""
        found = self.relevant.any(axis=1)
        return np.where(found, 1 / (1 + self.relevant.argmax(axis=1)), 0.0)


def _lists(run: RunLike) -> tuple[tuple[str, ...], list[list[tuple[str, float]]]]:
    if isinstance(run, cr.Rankings):
        run = run.to_run()
    candidates = (
        cr.Candidates.from_trec(run) if isinstance(run, str | Path) else cr.Candidates.from_run(run)
    )
    if candidates.scores is None:
        raise InputError("calibrate: the run has no scores; there is nothing to calibrate")
    names = candidates.candidate_ids
    return candidates.query_ids, [
        [(names[index], float(score)) for index, score in members if score is not None]
        for members in candidates.to_lists()
    ]
