"""The ranking of one query: a view of a row of `Rankings`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from crossrank._checking import check_count
from crossrank._lists.hits import Hit
from crossrank._lists.showing import SHOWN, Shown, display, frame, records, table_of, text_of

if TYPE_CHECKING:
    from crossrank._lists.rankings import Rankings


class Ranking(Sequence[Hit]):
    """The hits of one query, best first; a `Hit` is made when it is looked at."""

    __slots__ = ("_rankings", "_row")

    def __init__(self, rankings: Rankings, row: int) -> None:
        self._rankings = rankings
        self._row = row

    @property
    def query_id(self) -> str:
        """Whose ranking this is."""
        return self._rankings.query_ids[self._row]

    @property
    def ids(self) -> tuple[str, ...]:
        """The candidates' ids, best first."""
        rows = self._rankings.index[self._row, : len(self)]
        return tuple(self._rankings.candidate_ids[row] for row in rows)

    @property
    def confidence(self) -> float | None:
        """How good the ranking is thought to be; None without a calibration."""
        confidences = self._rankings.confidences
        return None if confidences is None else float(confidences[self._row])

    def __len__(self) -> int:
        return int(self._rankings.mask[self._row].sum())

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        if isinstance(place, slice):
            return tuple(self[each] for each in range(*place.indices(len(self))))
        count = len(self)
        if not -count <= place < count:
            raise IndexError(f"hit {place} of {count}")
        return self._rankings.hit(self._row, place % count)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._rankings.hits(self._row, 0, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranking):
            return NotImplemented
        return self.query_id == other.query_id and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # equal by content

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._rankings.take([self._row]), 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the list as JSON can hold it."""
        return {"query_id": self.query_id, "hits": [hit.to_dict() for hit in self]}

    def to_frame(self) -> Any:
        """Return a pandas DataFrame, a row per hit; needs pandas."""
        return frame(records({self.query_id: self}), "Ranking.to_frame")

    def show(self, count: int = SHOWN) -> None:
        """Show the first hits with base and new rank: pictures in a notebook, else lines of text.

        Parameters
        ----------
        count
            How many at most.
        """
        check_count("Ranking.show", "count", count)
        display(self._html(count), self._text(count))

    def _html(self, count: int) -> str:
        rankings, row = self._rankings, self._row
        shown = Shown() if rankings.shown is None else rankings.shown
        rows = rankings.index[row, : min(count, len(self))].tolist()
        contents = (shown.cell(each, rankings.candidate_ids[each]) for each in rows)
        title = shown.title(row, self.query_id)
        return table_of(self[:count], contents, len(self), title)

    def _text(self, count: int) -> str:
        shown = Shown() if self._rankings.shown is None else self._rankings.shown
        return text_of(self[:count], len(self), shown.title(self._row, self.query_id))

    def _repr_html_(self) -> str:
        return self._html(SHOWN)

    def __repr__(self) -> str:
        best = ", ".join(f"{hit.id} {hit.score:.4g}" for hit in self[:3])
        return f"Ranking({self.query_id!r}, {len(self)} hits: {best})"
