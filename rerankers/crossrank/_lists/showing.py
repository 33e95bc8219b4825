"""Rankings as tables: of plain records, of pandas, and of HTML for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crossrank.errors import missing_package

if TYPE_CHECKING:
    from crossrank._lists.hits import Hit

SHOWN = 10
"""Hits of a list that a notebook shows."""
LISTS = 5
"""Lists of a run that it shows."""

STYLE = "text-align:left;padding:2px 8px;vertical-align:top"


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
    """Return records as a pandas DataFrame.

    Raises
    ------
    MissingPackageError
        If pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise missing_package("pandas", "pandas", who) from error
    return pandas.DataFrame(rows)


def table_of(hits: Iterable[Hit], count: int, title: str) -> str:
    """Return the first hits of a list as an HTML table; whatever an id holds is text."""
    rows = []
    for number, hit in enumerate(hits):
        if number == SHOWN:
            break
        moved = hit.base_rank - hit.rank
        arrow = f"↑{moved}" if moved > 0 else f"↓{-moved}" if moved < 0 else "="
        stages = ", ".join(
            f"{trace.stage} {trace.score:.3g}" if trace.score is not None else f"{trace.stage} –"
            for trace in hit.trace
        )
        base = "" if hit.base_score is None else f"{hit.base_score:.4g}"
        cells = (hit.rank, hit.id, f"{hit.score:.4g}", f"{hit.base_rank} {arrow}", base, stages)
        rows.append(_row("td", cells))
    head = _row("th", ("rank", "id", "score", "base rank", "base score", "raw scores"))
    more = f"<p>… {count - SHOWN} more</p>" if count > SHOWN else ""
    caption = f'<caption style="{STYLE}">{html.escape(title)}</caption>'
    return f"<table>{caption}{head}{''.join(rows)}</table>{more}"


def _row(cell: str, values: Iterable[object]) -> str:
    cells = "".join(
        f'<{cell} style="{STYLE}">{html.escape(str(value))}</{cell}>' for value in values
    )
    return f"<tr>{cells}</tr>"
