"""What is measured on: a split as the caller gives it, and as it is scored in one direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.identity import Digests
from crossrank._files.trec import Qrels
from crossrank._items.collection import Collection
from crossrank._lists.candidates import LETTERS, Candidates
from crossrank.evaluation._qrels import QrelsLike


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One part of the data, for `crossrank.ablate`.

    Parameters
    ----------
    queries, gallery
        The features of both sides.
    qrels
        Judgements of the queries over the gallery; see `crossrank.evaluate`.
    candidates
        The base run, or one per direction; without one `crossrank.search` makes it.
    depth
        How many candidates that search gives each query.
    """

    queries: Collection
    gallery: Collection
    qrels: QrelsLike
    candidates: Candidates | Mapping[str, Candidates] | None = None
    depth: int = 100

    @property
    def direction(self) -> str:
        """What queries and gallery make."""
        return f"{LETTERS[self.queries.modality]}2{LETTERS[self.gallery.modality]}"


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A split in one direction, ready to be scored and measured.

    Parameters
    ----------
    split
        ``"report"`` or ``"tune"``.
    encoder
        Which value of ``{encoder}`` this is.
    direction
        Such as ``"t2i"``.
    queries, gallery
        Of this direction.
    candidates
        The base run, ``index`` in rows of the gallery, only of queries that are judged.
    query_rows
        ``[Q]`` rows of `queries`.
    qrels, query_ids
        Every query that counts, and their order N.
    places
        ``[N]`` the row of each in the candidates; −1 for a query without a list, a miss.
    relevant
        ``[Q, K]`` bool.
    clusters
        ``[N]`` numbers; queries with the same relevant items share one.
    base_ranks
        ``[Q, K]``, from 1.
    digests
        Of features and ids.
    notes
        What a reader has to know.
    """

    split: str
    encoder: str | None
    direction: str
    queries: Collection
    gallery: Collection
    candidates: Candidates
    query_rows: NDArray[np.int64]
    qrels: Qrels
    query_ids: tuple[str, ...]
    places: NDArray[np.int64]
    relevant: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    base_ranks: NDArray[np.int64]
    digests: Digests
    notes: tuple[str, ...] = ()

    @property
    def base_scores(self) -> NDArray[np.float64]:
        """``[Q, K]``: minus the rank where the base run has no scores."""
        if self.candidates.scores is None:
            return -self.base_ranks.astype(np.float64)
        return self.candidates.scores

    def first_ranks(
        self, places_ranks: NDArray[np.int64], top_k: int | None = None
    ) -> NDArray[np.float64]:
        """Return ``[N]`` the rank of each query's first relevant item, infinite for a miss.

        The candidates' ranks are ``[Q, K]``; lists are cut at `top_k`.
        """
        found = self.relevant & self.candidates.mask
        if top_k is not None:
            found = found & (places_ranks <= top_k)
        best = np.min(np.where(found, places_ranks, np.inf), axis=1, initial=np.inf)
        return np.where(self.places >= 0, np.append(best, np.inf)[self.places], np.inf)

    def ceiling(self, seen: NDArray[np.bool_]) -> float:
        """Return the share of queries, in per cent, with a relevant candidate among the seen."""
        found = (self.relevant & self.candidates.mask & seen).any(axis=1)
        return 100 * float(
            np.where(self.places >= 0, np.append(found, False)[self.places], 0).mean()
        )

    def lists(
        self, places_ranks: NDArray[np.int64], top_k: int | None = None
    ) -> dict[str, list[str]]:
        """Return the ranked ids of every query that has a list."""
        order = np.argsort(np.where(self.candidates.mask, places_ranks, np.iinfo(np.int64).max), 1)
        lengths = self.candidates.mask.sum(axis=1)
        if top_k is not None:
            lengths = np.minimum(lengths, top_k)
        ids = self.candidates.candidate_ids
        index = np.take_along_axis(self.candidates.index, order, axis=1)
        return {
            query: [ids[row] for row in index[number, : lengths[number]]]
            for number, query in enumerate(self.candidates.query_ids)
        }
