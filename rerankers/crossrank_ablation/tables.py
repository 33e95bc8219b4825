"""The tables of a result as text, Markdown and HTML; none holds a timing.

Marks stand at what differs from the base: ``*`` for a corrected p below alpha, ``**`` below a
fifth of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crossrank._items.showing import escaped, table
from crossrank.evaluation._table import Cells, markdown_table, text_table, value_text
from crossrank_ablation.cell_result import CellResult
from crossrank_ablation.statistics import Comparison

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult


def mark(comparison: Comparison | None, alpha: float) -> str:
    """Return the marks of a difference."""
    if comparison is None or comparison.p_holm is None or comparison.p_holm >= alpha:
        return ""
    return "**" if comparison.p_holm < alpha / 5 else "*"


def to_text(result: AblationResult) -> str:
    """Return an aligned table per direction, with notes."""
    parts = []
    for direction in result.directions:
        lines = [title_of(result, direction), "", *text_table(_main(result, direction))]
        for title, cells in _others(result, direction):
            lines += ["", title, "", *text_table(cells)]
        parts.append("\n".join([*lines, *(f"* {note}" for note in notes_of(result, direction))]))
    return "\n\n".join(parts) + "\n"


def to_markdown(result: AblationResult) -> str:
    """Return a Markdown table per direction, with notes."""
    parts = [f"# {result.name}"]
    for direction in result.directions:
        parts.append(f"## {title_of(result, direction)}")
        parts.append("\n".join(markdown_table(_starless(_main(result, direction)))))
        for title, cells in _others(result, direction):
            parts.append(f"{title[0].upper()}{title[1:]}:")
            parts.append("\n".join(markdown_table(_starless(cells))))
        parts.append("\n".join(f"- {_escaped(note)}" for note in notes_of(result, direction)))
    return "\n\n".join(parts) + "\n"


def to_html(result: AblationResult) -> str:
    """Return a table in HTML per direction, with notes, as notebooks show it."""
    parts = []
    for direction in result.directions:
        main = (f"{result.name}: {title_of(result, direction)}", _main(result, direction))
        parts += [
            table(title, cells[0], cells[1:])
            for title, cells in (main, *_others(result, direction))
        ]
        parts += [f"<p>{escaped(note)}</p>" for note in notes_of(result, direction)]
    return "".join(parts)


def p_text(value: float | None) -> str:
    """Return a p-value with four decimals; none is ever written as 0."""
    if value is None:
        return ""
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def columns(result: AblationResult) -> list[str]:
    """Return the headings of the main table."""
    metric = result.metrics[0]
    return [
        *result.metrics,
        f"Δ {metric}",
        f"{100 * result.significance.confidence:g} %",
        "p",
        "p Holm",
        "won/tied/lost",
    ]


def cells_of(result: AblationResult, cell: CellResult) -> list[str]:
    """Return a cell's row of the main table, without its name."""
    metric = result.metrics[0]
    if cell.status != "done":
        return [cell.status, *[""] * (len(columns(result)) - 1)]
    against = None if cell.against is None else cell.comparisons[cell.against]
    values = [
        value_text(name, cell.metrics[name])
        + mark(None if against is None else against[name], result.alpha)
        for name in result.metrics
    ]
    return [
        *values,
        *(["", "", "", "", ""] if against is None else _tested(metric, against[metric])),
    ]


def _main(result: AblationResult, direction: str) -> Cells:
    rows: Cells = [["", *columns(result)]]
    rows += [[cell.name, *cells_of(result, cell)] for cell in result.of(direction)]
    return rows


def _others(result: AblationResult, direction: str) -> list[tuple[str, Cells]]:
    """Return the tables beside the main one that have a row, with their titles."""
    named = (
        ("what each stage adds to the whole", _losses(result, direction)),
        ("what a learned fusion adds", _learned(result, direction)),
        ("chosen on the other split", _chosen(result, direction)),
    )
    return [(title, cells) for title, cells in named if cells]


def _losses(result: AblationResult, direction: str) -> Cells:
    """Return what is lost where a stage is left out, as what it adds."""
    metric = result.metrics[0]
    rows: Cells = []
    for cell in result.of(direction):
        if cell.learned:
            continue
        for other, found in list(cell.comparisons.items())[1:]:
            each = found[metric]
            added = replace(
                each,
                difference=-each.difference,
                low=None if each.high is None else -each.high,
                high=None if each.low is None else -each.low,
                wins=each.losses,
                losses=each.wins,
            )
            stage = cell.note.removeprefix("without ")
            name = f"{stage} (in {other})"
            rows.append([name, *_tested(metric, added, mark(each, result.alpha))])
    return [["", *columns(result)[len(result.metrics) :]], *rows] if rows else []


def _learned(result: AblationResult, direction: str) -> Cells:
    """Return what learned fusions gain over the sum they were learned from."""
    rows: Cells = [
        [f"{cell.name} (over {other})", *_tested(result.metrics[0], found[result.metrics[0]])]
        for cell in result.of(direction)
        if cell.learned
        for other, found in list(cell.comparisons.items())[1:]
    ]
    return [["", *columns(result)[len(result.metrics) :]], *rows] if rows else []


def _chosen(result: AblationResult, direction: str) -> Cells:
    rows: Cells = [
        [cell.name, ", ".join(f"{key} {_plain(value)}" for key, value in cell.tuned.items())]
        for cell in result.of(direction)
        if cell.tuned
    ]
    return [["", "settings"], *rows] if rows else []


def _tested(metric: str, each: Comparison, marks: str = "") -> list[str]:
    interval = ""
    if each.low is not None and each.high is not None:
        interval = " … ".join(value_text(metric, end, sign=True) for end in (each.low, each.high))
    return [
        value_text(metric, each.difference, sign=True) + marks,
        interval,
        p_text(each.p_value),
        p_text(each.p_holm),
        f"{each.wins}/{each.ties}/{each.losses}",
    ]


def title_of(result: AblationResult, direction: str) -> str:
    """Return what stands above the table of a direction."""
    return f"{direction}: {len(result.queries[direction].ids):,} queries"


def notes_of(result: AblationResult, direction: str) -> list[str]:
    """Return what stands below it."""
    how, queries = result.significance, result.queries[direction]
    clusters = len(set(queries.clusters.tolist()))
    units = "queries" if clusters == len(queries.ids) else f"{clusters:,} clusters of queries"
    notes = [
        f"Δ over the base: {100 * how.confidence:g} % bootstrap interval, p of a paired "
        f"randomisation test over {units}, {how.resamples:,} resamples, seed {how.seed}; p Holm is "
        f"corrected over the whole table; * p Holm < {result.alpha:g}, "
        f"** p Holm < {result.alpha / 5:g}"
    ]
    notes += [f"{cell.name}: {cell.error}" for cell in result.of(direction) if cell.error]
    return [*notes, *queries.notes]


def _escaped(text: str) -> str:
    return text.replace("*", "\\*")


def _starless(cells: Cells) -> Cells:
    """Escape the marks, which Markdown would read as emphasis."""
    return [[_escaped(text) for text in row] for row in cells]


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
