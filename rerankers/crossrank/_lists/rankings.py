"""Rankings: the better lists, columnar, with the base score kept and a trace for every hit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import check_count
from crossrank._files.trec import write_run
from crossrank._items.ids import chosen_rows
from crossrank._items.showing import escaped, left_out
from crossrank._lists.calibration import Calibration, as_calibration
from crossrank._lists.equality import same_content
from crossrank._lists.hits import Hit, Trace
from crossrank._lists.ranking import Ranking
from crossrank._lists.rankings_file import open_rankings, save_rankings, write_parquet
from crossrank._lists.showing import (
    LISTS,
    SHOWN,
    Shown,
    display,
    frame,
    records,
)
from crossrank._lists.stage_scores import StageScores
from crossrank.errors import UnknownIdError, nearest

__all__ = ["Hit", "Ranking", "Rankings", "StageScores", "Trace"]


@dataclass(frozen=True, slots=True, eq=False)
class Rankings(Mapping[str, Ranking]):
    """The result of a run: a mapping from query id to `Ranking`, held in columns.

    Parameters
    ----------
    query_ids, candidate_ids
        Names of the Q queries and of the gallery's rows.
    index
        ``[Q, K]`` int64 gallery rows, best first; 0 where the mask is False.
    final
        ``[Q, K]`` float64 scores after the last stage.
    mask
        ``[Q, K]`` bool, a prefix of every row.
    base_scores
        ``[Q, K]`` float64 or None.
    base_ranks
        ``[Q, K]`` int64, from 1.
    stages
        Each stage's own scores, in the same places.
    direction
        ``"t2i"``, ``"i2t"``, …
    places
        ``[Q, K]`` int64 places in the lists that the caller gave, which `Hit.index` then is; None
        where it is the row of the gallery.
    unscored
        Per query why its last hits, which stand in base order, could not be scored; empty where
        all could.
    probabilities
        ``[Q, K]`` float64 that a hit is relevant, NaN where it was not scored; None without a
        calibration.
    confidences
        ``[Q]`` float64 in each ranking; None likewise.
    shown
        What the ids stand for, by which notebooks show pictures; None where that is not known.
    """

    query_ids: tuple[str, ...]
    candidate_ids: tuple[str, ...]
    index: NDArray[np.int64]
    final: NDArray[np.float64]
    mask: NDArray[np.bool_]
    base_scores: NDArray[np.float64] | None
    base_ranks: NDArray[np.int64]
    stages: tuple[StageScores, ...] = ()
    direction: str | None = None
    places: NDArray[np.int64] | None = None
    unscored: tuple[tuple[str, ...], ...] = ()
    probabilities: NDArray[np.float64] | None = None
    confidences: NDArray[np.float64] | None = None
    shown: Shown | None = field(default=None, repr=False)
    _rows: dict[str, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._rows.update((id, row) for row, id in enumerate(self.query_ids))

    def __len__(self) -> int:
        return len(self.query_ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.query_ids)

    def __contains__(self, query_id: object) -> bool:
        return query_id in self._rows

    def __getitem__(self, query_id: str | int) -> Ranking:
        """Return a query's ranking, by its id or its place (ids are texts).

        Raises
        ------
        UnknownIdError
            If there is no such query.
        IndexError
            If there is no such place.
        """
        if isinstance(query_id, int):
            return Ranking(self, range(len(self))[query_id])
        try:
            return Ranking(self, self._rows[query_id])
        except (KeyError, TypeError):
            raise UnknownIdError(
                f"no query has the id {query_id!r:.80}{nearest(query_id, self.query_ids[:1000])}"
            ) from None

    def values(self) -> Any:
        """Return the rankings in the order of the queries."""
        return [Ranking(self, row) for row in range(len(self))]

    def items(self) -> Any:
        """Return pairs of query id and ranking."""
        return list(zip(self.query_ids, self.values(), strict=True))

    def hit(self, row: int, place: int) -> Hit:
        """Return one hit of the query in a row."""
        return self.hits(row, place, place + 1)[0]

    def hits(self, row: int, start: int, stop: int) -> list[Hit]:
        """Return the hits of the query in a row from one place up to another, best first."""
        part = slice(start, stop)
        index: list[int] = self.index[row, part].tolist()
        absent = [None] * len(index)
        base, likely = self.base_scores, self.probabilities
        columns = zip(
            [self.candidate_ids[each] for each in index],
            self.final[row, part].tolist(),
            range(start + 1, stop + 1),
            index if self.places is None else self.places[row, part].tolist(),
            absent if base is None else base[row, part].tolist(),
            self.base_ranks[row, part].tolist(),
            self._traces(row, start, stop),
            absent if likely is None else map(_known, likely[row, part].tolist()),
            strict=True,
        )
        return [Hit(*each) for each in columns]

    def _traces(self, row: int, start: int, stop: int) -> list[tuple[Trace, ...]]:
        reasons = self.unscored[row] if self.unscored else ()
        scored = int(self.mask[row].sum()) - len(reasons)
        count = max(0, min(stop, scored) - start)
        own = [stage.traces(row, start, start + count) for stage in self.stages]
        found = list(zip(*own, strict=True)) if own else [()] * count
        return found + [
            tuple(Trace(each.name, None, None, each.weight, why) for each in self.stages)
            for why in reasons[max(0, start - scored) : max(0, stop - scored)]
        ]

    def take(self, rows: Sequence[int]) -> Rankings:
        """Return the rankings of some queries, by their rows."""
        chosen = chosen_rows("Rankings.take", rows, len(self))
        order = np.broadcast_to(np.arange(self.index.shape[1]), (len(chosen), self.index.shape[1]))
        return replace(
            self,
            query_ids=tuple(self.query_ids[row] for row in chosen),
            index=self.index[chosen],
            final=self.final[chosen],
            mask=self.mask[chosen],
            base_scores=None if self.base_scores is None else self.base_scores[chosen],
            base_ranks=self.base_ranks[chosen],
            stages=tuple(stage.arranged(chosen, order) for stage in self.stages),
            places=None if self.places is None else self.places[chosen],
            unscored=tuple(self.unscored[row] for row in chosen) if self.unscored else (),
            probabilities=None if self.probabilities is None else self.probabilities[chosen],
            confidences=None if self.confidences is None else self.confidences[chosen],
            shown=None if self.shown is None else self.shown.take(chosen.tolist()),
        )

    def calibrated(self, calibration: Calibration | str | Path) -> Rankings:
        """Return the rankings with probabilities, and a confidence in each.

        The confidence looks at as many of the best scores as it was fitted on: rankings that were
        cut shorter give another one than `Pipeline` does, which calibrates before it cuts.

        Parameters
        ----------
        calibration
            Or its file.
        """
        fitted = as_calibration(calibration)
        return replace(
            self,
            probabilities=np.where(self.mask, fitted.probabilities(self.final), np.nan),
            confidences=None
            if fitted.confidence is None
            else fitted.confidence.of(self.final, self.mask),
        )

    def scores(self, stage: str | None = None) -> NDArray[Any]:
        """Return ``[Q, K]`` scores in the places of `index`, NaN where there is none.

        Parameters
        ----------
        stage
            A stage's name for its raw scores (float32); None for the final ones (float64).

        Raises
        ------
        UnknownIdError
            If no stage has this name.
        """
        if stage is None:
            return np.where(self.mask, self.final, np.nan)
        for each in self.stages:
            if isinstance(stage, str) and each.name == stage:
                return each.raw
        names = [each.name for each in self.stages]
        raise UnknownIdError(f"no stage is called {stage!r:.80}{nearest(stage, names)}")

    def to_run(self) -> dict[str, dict[str, float]]:
        """Return ``{query id: {candidate id: score}}``, best first, in Python floats.

        Of a candidate that stands in a list twice, the better place counts.
        """
        run: dict[str, dict[str, float]] = {}
        for (query, ranking), scores in zip(self.items(), self.final, strict=True):
            own = run.setdefault(query, {})
            for id, score in zip(ranking.ids, scores[: len(ranking)].tolist(), strict=True):
                own.setdefault(id, score)
        return run

    def base_run(self) -> dict[str, dict[str, float]]:
        """Return the same candidates with their base scores; without scores, minus the rank."""
        values = -self.base_ranks.astype(np.float64)
        if self.base_scores is not None:
            values = self.base_scores
        run: dict[str, dict[str, float]] = {}
        for row, (query, ranking) in enumerate(self.items()):
            order = np.argsort(self.base_ranks[row, : len(ranking)], kind="stable")
            ids, own = ranking.ids, run.setdefault(query, {})
            for place in order:
                own.setdefault(ids[place], float(values[row, place]))
        return run

    def to_trec(self, path: str | Path, tag: str = "crossrank") -> None:
        """Write a run file whose scores fall strictly even when read as float32.

        Raises
        ------
        FormatError
            If an id has white space in it, which the format cannot hold.
        """
        write_run(Path(path), self.to_run(), tag)

    def to_parquet(self, path: str | Path) -> None:
        """Write one row per hit, with every stage's raw score; needs pyarrow."""
        write_parquet(self, Path(path))

    def save(self, path: str | Path) -> None:
        """Write everything to a safetensors file, which appears when it is complete."""
        save_rankings(self, Path(path))

    @classmethod
    def open(cls, path: str | Path) -> Rankings:
        """Read what `save` wrote, equal to what it was.

        Raises
        ------
        StoreError
            If the file is missing, truncated or foreign.
        """
        return cls(**open_rankings(Path(path)))

    def to_dict(self) -> dict[str, Any]:
        """Return everything that a reader of the lists needs, as JSON can hold it."""
        return {
            "direction": self.direction,
            "stages": [stage.name for stage in self.stages],
            "queries": [ranking.to_dict() for ranking in self.values()],
        }

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: a row per hit, with the raw score of every stage.

        Raises
        ------
        MissingPackageError
            If pandas is not installed.
        """
        return frame(records(self), "Rankings.to_frame")

    def show(self, count: int = SHOWN, lists: int = LISTS) -> None:
        """Show the first rankings, see `Ranking.show`.

        Parameters
        ----------
        count, lists
            How many hits of how many queries at most.
        """
        check_count("Rankings.show", "count", count)
        check_count("Rankings.show", "lists", lists)
        texts = [ranking._text(count) for ranking in self.values()[:lists]]
        more = left_out(lists, len(self), "queries")
        display(self._html(count, lists), "\n\n".join([*texts, *([more] if more else [])]))

    def _html(self, count: int, lists: int) -> str:
        more = left_out(lists, len(self), "queries")
        ends = [f"<p>{escaped(each)}</p>" if each else "" for each in (repr(self), more)]
        return "".join([ends[0], *(each._html(count) for each in self.values()[:lists]), ends[1]])

    def _repr_html_(self) -> str:
        return self._html(SHOWN, LISTS)

    def to_similarity(self) -> NDArray[np.float64]:
        """Return ``[queries, gallery]`` the final scores, −inf for what was not ranked."""
        matrix = np.full((len(self), len(self.candidate_ids)), -np.inf)
        rows, places = np.nonzero(self.mask)
        matrix[rows, self.index[rows, places]] = self.final[rows, places]
        return matrix

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rankings):
            return NotImplemented
        return all(
            same_content(getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)
            if each.name != "shown"
        )

    __hash__ = None  # type: ignore[assignment]  # equal by content

    def __repr__(self) -> str:
        stages = " → ".join(stage.name for stage in self.stages) or "no stage"
        return f"Rankings({len(self)} queries, {int(self.mask.sum())} hits, {stages})"


def _known(probability: float) -> float | None:
    return None if math.isnan(probability) else probability
