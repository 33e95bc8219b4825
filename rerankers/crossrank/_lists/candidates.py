"""Candidate lists, as a base matcher hands them over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank._files.trec import read_run
from crossrank._items.ids import check_distinct
from crossrank._lists.base_lists import list_columns, run_columns, similarity_columns
from crossrank._lists.candidates_html import candidates_html
from crossrank._lists.list_checks import check_rows, check_scores, check_shapes
from crossrank._lists.neighbour_columns import faiss_columns, hnswlib_columns, usearch_columns
from crossrank._lists.ordering import order_rows
from crossrank.errors import FormatError, OrientationError


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """For each query a list of gallery rows, possibly with base scores; columnar.

    Parameters
    ----------
    index
        ``[Q, K]`` int64 rows of the gallery; ignored where `mask` is False.
    scores
        ``[Q, K]`` float64, higher is better; None where the base matcher gave none, and then the
        order of a list is its base order.
    mask
        ``[Q, K]`` bool: which places of a list are taken.
    query_ids, candidate_ids
        The names of the Q queries and of the gallery's rows.
    direction
        ``"t2i"``, ``"i2t"``, …; None where only the collections will tell.
    repeats
        Whether a list may name a candidate more than once.

    Raises
    ------
    InputError
        On shapes that do not fit or scores that are NaN or infinite.
    DuplicateIdError, UnknownIdError
        On a candidate that stands twice in one list, or a row that the gallery does not have.

    Notes
    -----
    Use one of the ``from_`` constructors.
    """

    index: NDArray[np.int64]
    scores: NDArray[np.float64] | None
    mask: NDArray[np.bool_]
    query_ids: tuple[str, ...]
    candidate_ids: tuple[str, ...]
    direction: str | None = None
    repeats: bool = False

    def __post_init__(self) -> None:
        check_shapes(self.index, self.scores, self.mask, len(self.query_ids))
        check_distinct("Candidates", self.query_ids, "query id")
        check_rows(self)
        check_scores(self)

    def _repr_html_(self) -> str:
        return candidates_html(self)

    def __repr__(self) -> str:
        scored = "" if self.scores is not None else ", without scores"
        direction = "" if self.direction is None else f"{self.direction}: "
        return (
            f"Candidates({direction}{len(self)} queries, {int(self.mask.sum())} candidates of "
            f"{len(self.candidate_ids)}{scored})"
        )

    def __len__(self) -> int:
        return len(self.query_ids)

    @property
    def depth(self) -> int:
        """The length of the longest list."""
        return int(self.mask.sum(axis=1).max(initial=0))

    def base_order(self) -> NDArray[np.int64]:
        """Return ``[Q, K]`` places by base rank; places that are not taken come last.

        By score, falling, and then by gallery row; without scores in the lists' own order.
        """
        if self.scores is None:
            return np.argsort(~self.mask, axis=1, kind="stable")
        return order_rows(self.mask, self.scores, self.index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Candidates):
            return NotImplemented
        names = ("query_ids", "candidate_ids", "direction")
        return all(getattr(self, name) == getattr(other, name) for name in names) and (
            self.to_lists() == other.to_lists()
        )

    def take(self, rows: ArrayLike | slice) -> Candidates:
        """Return the lists of some queries, by their rows."""
        chosen = np.arange(len(self))[rows if isinstance(rows, slice) else np.asarray(rows, int)]
        return replace(
            self,
            index=self.index[chosen],
            scores=None if self.scores is None else self.scores[chosen],
            mask=self.mask[chosen],
            query_ids=tuple(self.query_ids[row] for row in chosen.tolist()),
        )

    def to_lists(self) -> list[list[tuple[int, float | None]]]:
        """Return per query the gallery rows and base scores, in base order."""
        lists: list[list[tuple[int, float | None]]] = []
        for row, order in enumerate(self.base_order()):
            places = order[: int(self.mask[row].sum())]
            lists.append(
                [
                    (
                        int(self.index[row, place]),
                        None if self.scores is None else float(self.scores[row, place]),
                    )
                    for place in places
                ]
            )
        return lists

    def to_run(self) -> dict[str, dict[str, float]]:
        """Return ``{query id: {candidate id: base score}}``; without scores, minus the rank."""
        return {
            id: {
                self.candidate_ids[row]: float(-rank) if score is None else score
                for rank, (row, score) in enumerate(members, 1)
            }
            for id, members in zip(self.query_ids, self.to_lists(), strict=True)
        }

    @classmethod
    def from_similarity(
        cls,
        similarity: ArrayLike,
        direction: str | None = None,
        depth: int | None = None,
        *,
        image_ids: Sequence[Any] | None = None,
        text_ids: Sequence[Any] | None = None,
    ) -> Candidates:
        """Take the best candidates out of a matrix of similarities.

        Parameters
        ----------
        similarity
            ``[n_images, n_texts]``, higher is better; images are the rows in *both* directions.
        direction
            ``"t2i"`` or ``"i2t"``; never guessed, since a square matrix would not tell.
        depth
            How many candidates per query; all by default.
        image_ids, text_ids
            Names of rows and columns; ``"0"``, ``"1"``, … by default.

        Raises
        ------
        OrientationError
            Without a direction, or where ids and matrix suggest that it is transposed.
        InputError
            If the matrix is not two-dimensional or not finite, or depth is below 1.
        """
        return cls(*similarity_columns(similarity, direction, depth, image_ids, text_ids))

    @classmethod
    def from_run(
        cls,
        run: Mapping[str, Mapping[str, float | None]],
        *,
        query_ids: Sequence[str] | None = None,
        candidate_ids: Sequence[str] | None = None,
        direction: str | None = None,
    ) -> Candidates:
        """Read a run: ``{query id: {candidate id: score}}``.

        Parameters
        ----------
        run
            Scores may all be None: then the order of each mapping is its base order.
        query_ids
            Which queries, in which order; a query without an entry has an empty list.
        candidate_ids
            The gallery; by default the candidates of the run, in order of appearance.
        direction
            See `Candidates`.
        """
        return cls(*run_columns(run, query_ids, candidate_ids, direction))

    @classmethod
    def from_trec(
        cls,
        path: str | Path,
        *,
        query_ids: Sequence[str] | None = None,
        candidate_ids: Sequence[str] | None = None,
        direction: str | None = None,
    ) -> Candidates:
        """Read a run file in TREC format: ``query Q0 candidate rank score tag``.

        Raises
        ------
        FormatError
            If the file cannot be read, or holds no line.
        """
        run = read_run(Path(path))
        if not run:
            raise FormatError(f"{path} holds no line of a run; check what wrote it")
        return cls.from_run(
            run, query_ids=query_ids, candidate_ids=candidate_ids, direction=direction
        )

    @classmethod
    def from_faiss(
        cls,
        distances: ArrayLike,
        labels: ArrayLike,
        *,
        metric: str | None = None,
        index: Any = None,
        query_ids: Sequence[Any] | None = None,
        candidate_ids: Sequence[Any] | None = None,
        direction: str | None = None,
    ) -> Candidates:
        """Read what ``index.search`` of faiss returns.

        Parameters
        ----------
        distances, labels
            ``[Q, K]``; the label −1 marks an empty place.
        metric
            ``"ip"`` (higher is better) or ``"l2"`` (lower is better: the base score is minus it);
            by default what the index says, and without one ``"ip"`` for scores that fall.
        index
            The faiss index that was searched, whose ``metric_type`` is read.
        query_ids, candidate_ids
            Names; ``"0"``, ``"1"``, … by default, as many candidates as the labels need.  Labels
            beyond ten million, as an ``IndexIDMap`` gives them, are themselves the names.
        direction
            See `Candidates`.

        Raises
        ------
        InputError
            If scores rise and neither `metric` nor `index` says that they are distances, or shapes
            do not fit.
        UnknownIdError
            If a label is no row of `candidate_ids`.
        """
        return cls(
            *faiss_columns(distances, labels, metric, index, query_ids, candidate_ids, direction)
        )

    @classmethod
    def from_hnswlib(
        cls,
        labels: ArrayLike,
        distances: ArrayLike,
        *,
        space: str | None = None,
        index: Any = None,
        query_ids: Sequence[Any] | None = None,
        candidate_ids: Sequence[Any] | None = None,
        direction: str | None = None,
    ) -> Candidates:
        """Read what ``index.knn_query`` of hnswlib returns.

        Parameters
        ----------
        labels, distances
            ``[Q, K]``, labels first; the label −1, as uint64 too, marks an empty place.
        space
            ``"l2"``, ``"ip"`` or ``"cosine"``.  All are distances, so that the order is the same
            whatever it is; base scores are minus the distance, or the similarity, 1 minus it, where
            the space is known to be one of the last two.
        index
            The index that was searched, whose ``space`` is read.
        query_ids, candidate_ids, direction
            See `from_faiss`.

        Raises
        ------
        InputError
            If shapes or types do not fit.
        UnknownIdError
            If a label is no row of `candidate_ids`.
        """
        return cls(
            *hnswlib_columns(labels, distances, space, index, query_ids, candidate_ids, direction)
        )

    @classmethod
    def from_usearch(
        cls,
        matches: Any,
        *,
        metric: str | None = None,
        index: Any = None,
        query_ids: Sequence[Any] | None = None,
        candidate_ids: Sequence[Any] | None = None,
        direction: str | None = None,
    ) -> Candidates:
        """Read what ``index.search`` of usearch returns.

        Parameters
        ----------
        matches
            Of one query or of many: its ``keys``, ``distances`` and ``counts`` are read, and what
            lies beyond a count is an empty place.
        metric
            ``"cos"``, ``"ip"``, ``"l2sq"``, …: see `from_hnswlib`.
        index
            The index that was searched, whose ``metric_kind`` is read.
        query_ids, candidate_ids, direction
            See `from_faiss`.

        Raises
        ------
        InputError
            If it is something else.
        UnknownIdError
            If a key is no row of `candidate_ids`.
        """
        return cls(*usearch_columns(matches, metric, index, query_ids, candidate_ids, direction))

    @classmethod
    def from_lists(
        cls,
        lists: Mapping[str, Iterable[Any]] | Sequence[Iterable[Any]],
        *,
        scores: Mapping[str, Iterable[float]] | Sequence[Iterable[float]] | None = None,
        query_ids: Sequence[Any] | None = None,
        candidate_ids: Sequence[Any] | None = None,
        direction: str | None = None,
    ) -> Candidates:
        """Read plain lists of candidate ids, best first, ragged if need be.

        Parameters
        ----------
        lists
            Per query the ids of its candidates: a mapping by query id, or a sequence.
        scores
            In the same form and lengths, or None.
        query_ids, candidate_ids, direction
            See `from_run`.
        """
        return cls(*list_columns(lists, scores, query_ids, candidate_ids, direction))

    def check_direction(self, queries: str, gallery: str) -> str:
        """Return the direction that two modalities make.

        Raises
        ------
        OrientationError
            If the candidates say another one: queries and gallery are swapped.
        """
        made = f"{LETTERS[queries]}2{LETTERS[gallery]}"
        if self.direction is not None and self.direction != made:
            raise OrientationError(
                f"the candidates are {self.direction}, but the queries are {queries}s and the "
                f"gallery holds {gallery}s, which is {made}; swap queries and gallery"
            )
        return made


LETTERS = {"text": "t", "image": "i", "image+text": "it"}
