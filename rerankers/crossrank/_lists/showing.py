"""Rankings as tables: of plain records, of pandas, of HTML for notebooks, and as plain text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossrank._items.item import IMAGE_SUFFIXES
from crossrank._items.provenance import lies_in_allowed
from crossrank._items.showing import left_out, table, thumbnail
from crossrank._text import aligned
from crossrank.errors import missing_package

if TYPE_CHECKING:
    from crossrank._items.collection import Collection
    from crossrank._lists.hits import Hit

SHOWN = 10
"""Hits of a list that a notebook shows."""
LISTS = 5
"""Lists of a run that it shows."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the ids of rankings stand for; it goes along neither to files nor to other processes.

    Paths and texts by row of the gallery, and for queries either by row of the rankings; None where
    they are not known.
    """

    pictures: Sequence[Any] | None = None
    texts: Sequence[Any] | None = None
    queries: Sequence[Any] | None = None

    @classmethod
    def of(cls, queries: Collection, rows: Sequence[int], gallery: Collection) -> Shown:
        """Return what ids stand for, as far as the collections tell, of some rows of queries."""

        def known(collection: Collection, *names: str) -> Any:
            return next((collection[name] for name in names if name in collection), None)

        asked = known(queries, "text", "path")
        said = None if asked is None else [asked[row] for row in rows]
        return cls(known(gallery, "path"), known(gallery, "text"), said)

    def __reduce__(self) -> tuple[Any, ...]:
        return Shown, ()

    def cell(self, row: int, id: str) -> object:
        """Return the picture or the text of a candidate; nothing where neither is known."""
        for values, made in ((self.pictures, thumbnail), (self.texts, str)):
            if values is not None and row < len(values):
                return made(values[row])
        return thumbnail(Path(id)) if is_picture(id) else ""

    def title(self, row: int, id: str) -> str:
        """Return what a query is called, and says."""
        said = id if self.queries is None else str(self.queries[row])
        return f"query {id}" if said == id else f"query {id}: {said}"

    def take(self, rows: Sequence[int]) -> Shown:
        """Return the same of some queries."""
        asked = None if self.queries is None else [self.queries[row] for row in rows]
        return Shown(self.pictures, self.texts, asked)


def is_picture(id: str) -> bool:
    """Tell whether an id is the path of a picture below the working folder, or an allowed one.

    Ids come from runs and collections of others too; elsewhere they are names and no more.
    """
    path = Path(id)
    try:
        return (
            path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and lies_in_allowed(path, ".")
        )
    except (OSError, ValueError):
        return False


def records(rankings: Mapping[str, Iterable[Hit]]) -> list[dict[str, Any]]:
    """Return a flat record per hit: query, what the hit says, and a raw score per stage."""
    return [
        {
            "query_id": query,
            "rank": hit.rank,
            "id": hit.id,
            "score": hit.score,
            "base_rank": hit.base_rank,
            "base_score": hit.base_score,
            **{f"raw.{trace.stage}": trace.score for trace in hit.trace},
        }
        for query, ranking in rankings.items()
        for hit in ranking
    ]


def frame(rows: list[dict[str, Any]], who: str) -> Any:
    """Return records as a pandas DataFrame."""
    try:
        import pandas
    except ImportError as error:
        raise missing_package("pandas", "pandas", who) from error
    return pandas.DataFrame(rows)


def table_of(hits: Sequence[Hit], contents: Iterable[object], count: int, title: str) -> str:
    """Return the first hits of a list as an HTML table, each with its picture or text."""
    head = ("rank", "", "id", "score", "base rank", "base score", "raw scores")
    rows = (
        (
            *(hit.rank, content, hit.id, f"{hit.score:.4g}", f"{hit.base_rank} {moved(hit)}"),
            *("" if hit.base_score is None else f"{hit.base_score:.4g}", _raw(hit)),
        )
        for hit, content in zip(hits, contents, strict=True)
    )
    return table(title, head, rows, left_out(len(hits), count, "hits"))


def text_of(hits: Sequence[Hit], count: int, title: str) -> str:
    """Return the first hits of a list as lines of text."""
    cells = [("rank", "base", "", "score", "id")]
    cells += [
        (str(hit.rank), str(hit.base_rank), moved(hit), f"{hit.score:.4g}", hit.id) for hit in hits
    ]
    more = left_out(len(hits), count, "hits")
    return "\n".join([title, *aligned(cells), *([more] if more else [])])


def moved(hit: Hit) -> str:
    """Return an arrow with the places that a hit won or lost."""
    places = hit.base_rank - hit.rank
    return f"↑{places}" if places > 0 else f"↓{-places}" if places < 0 else "="


def display(html: str, text: str) -> None:
    """Show HTML in a notebook, text anywhere else."""
    if _in_notebook():
        from IPython.display import HTML
        from IPython.display import display as show

        show(HTML(html))
    else:
        sys.stdout.write(f"{text}\n")


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")


def _raw(hit: Hit) -> str:
    return ", ".join(
        f"{trace.stage} {trace.score:.3g}" if trace.score is not None else f"{trace.stage} –"
        for trace in hit.trace
    )
