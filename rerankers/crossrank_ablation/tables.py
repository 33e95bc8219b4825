"""The tables of a result as text, Markdown, LaTeX and comma-separated values; none holds a timing.

Marks stand at what differs from the base: ``*`` for a corrected p below alpha, ``**`` below a
fifth of it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crossrank._items.showing import escaped, table
from crossrank.evaluation._table import Cells, markdown_table, text_table, value_text
from crossrank_ablation.cell_result import CellResult
from crossrank_ablation.measuring import LOWER_IS_BETTER
from crossrank_ablation.statistics import Comparison

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult

CSV_FIELDS = (
    *("direction", "cell", "encoder", "note", "status", "metric", "value", "against"),
    *("difference", "low", "high", "p_value", "p_holm", "p_t", "p_t_holm"),
    *("wins", "ties", "losses", "error"),
)


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what spreadsheets take a text for a formula."""


def mark(comparison: Comparison | None, alpha: float) -> str:
    """Return the marks of a difference."""
    if comparison is None or comparison.p_holm is None or comparison.p_holm >= alpha:
        return ""
    return "**" if comparison.p_holm < alpha / 5 else "*"


def to_text(result: AblationResult) -> str:
    """Return an aligned table per direction, with notes."""
    parts = []
    for direction in result.directions:
        lines = [_title(result, direction), "", *text_table(_main(result, direction))]
        losses = _losses(result, direction)
        if losses:
            lines += ["", "what each stage adds to the whole", "", *text_table(losses)]
        gained = _learned(result, direction)
        if gained:
            lines += ["", "what a learned fusion adds", "", *text_table(gained)]
        chosen = _chosen(result, direction)
        if chosen:
            lines += ["", "chosen on the other split", "", *text_table(chosen)]
        parts.append("\n".join([*lines, *(f"* {note}" for note in _notes(result, direction))]))
    return "\n\n".join(parts) + "\n"


def to_markdown(result: AblationResult) -> str:
    """Return a Markdown table per direction, with notes."""
    parts = [f"# {result.name}"]
    for direction in result.directions:
        parts.append(f"## {_title(result, direction)}")
        parts.append("\n".join(markdown_table(_starless(_main(result, direction)))))
        losses = _losses(result, direction)
        if losses:
            parts.append("What each stage adds to the whole:")
            parts.append("\n".join(markdown_table(_starless(losses))))
        gained = _learned(result, direction)
        if gained:
            parts.append("What a learned fusion adds:")
            parts.append("\n".join(markdown_table(_starless(gained))))
        chosen = _chosen(result, direction)
        if chosen:
            parts.append("Chosen on the other split:")
            parts.append("\n".join(markdown_table(chosen)))
        parts.append("\n".join(f"- {_escaped(note)}" for note in _notes(result, direction)))
    return "\n\n".join(parts) + "\n"


def to_html(result: AblationResult) -> str:
    """Return a table in HTML per direction, with notes, as notebooks show it."""
    parts = []
    for direction in result.directions:
        named = {
            f"{result.name}: {_title(result, direction)}": _main(result, direction),
            "what each stage adds to the whole": _losses(result, direction),
            "chosen on the other split": _chosen(result, direction),
        }
        parts += [table(title, *_head(cells)) for title, cells in named.items() if cells]
        parts += [f"<p>{escaped(note)}</p>" for note in _notes(result, direction)]
    return "".join(parts)


def _head(cells: Cells) -> tuple[list[str], Cells]:
    return cells[0], cells[1:]


def to_latex(result: AblationResult) -> str:
    """Return a booktabs table per direction; the best of each column is bold."""
    tables = [_latex(result, direction) for direction in result.directions]
    return "% \\usepackage{booktabs}\n" + "\n\n".join(tables) + "\n"


def to_csv(result: AblationResult) -> str:
    """Return a line per cell, metric and comparison."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS, lineterminator="\n")
    writer.writeheader()
    for cell in result.cells:
        shared: dict[str, Any] = {
            "direction": cell.direction,
            "cell": cell.name,
            "encoder": cell.encoder or "",
            "note": cell.note,
            "status": cell.status,
            "error": cell.error,
        }
        if cell.status != "done":
            writer.writerow(no_formulas(shared))
        for metric, value in cell.metrics.items():
            row = {**shared, "metric": metric, "value": _number(value)}
            if not cell.comparisons:
                writer.writerow(no_formulas(row))
            for other, found in cell.comparisons.items():
                each = found[metric]
                names = CSV_FIELDS[8:15]
                numbers = {name: _number(getattr(each, name)) for name in names}
                counts = {name: getattr(each, name) for name in ("wins", "ties", "losses")}
                texts = no_formulas({**row, "against": other})
                writer.writerow({**texts, **numbers, **counts})
    return out.getvalue()


def no_formulas(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose texts no spreadsheet computes: ``'`` before what would begin a formula.

    Names of stages and messages of errors may be anybody's.
    """
    return {
        name: f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
        for name, value in record.items()
    }


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


def _losses(result: AblationResult, direction: str) -> Cells:
    """Return what is lost where a stage is left out, as what it adds."""
    metric = result.metrics[0]
    rows: Cells = []
    for cell in result.of(direction):
        if cell.learned:
            continue
        for other, found in list(cell.comparisons.items())[1:]:
            each = found[metric]
            added = Comparison(
                -each.difference,
                None if each.high is None else -each.high,
                None if each.low is None else -each.low,
                each.p_value,
                each.p_t,
                each.p_holm,
                each.p_t_holm,
                each.losses,
                each.ties,
                each.wins,
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


def _title(result: AblationResult, direction: str) -> str:
    return f"{direction}: {len(result.queries[direction].ids):,} queries"


def _notes(result: AblationResult, direction: str) -> list[str]:
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


def _latex(result: AblationResult, direction: str) -> str:
    heads = columns(result)
    rows = result.of(direction)
    best = {
        name: _best(name, [c.metrics[name] for c in rows if c.status == "done"])
        for name in result.metrics
    }
    lines = [
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_tex(result.name)}, {_tex(_title(result, direction))}. "
        f"{_tex(_notes(result, direction)[0])}.}}",
        f"  \\begin{{tabular}}{{l{'r' * len(heads)}}}",
        "    \\toprule",
        f"    & {' & '.join(_tex(head) for head in heads)} \\\\",
        "    \\midrule",
    ]
    for cell in rows:
        texts = [_tex(text).replace("-", "$-$") for text in cells_of(result, cell)]
        if cell.status == "done":
            for place, name in enumerate(result.metrics):
                number = value_text(name, cell.metrics[name])
                marks = cells_of(result, cell)[place].removeprefix(number)
                bold = f"\\textbf{{{_tex(number)}}}" if cell.metrics[name] == best[name] else number
                texts[place] = f"{bold}\\rlap{{$^{{{marks}}}$}}" if marks else bold
        else:
            texts[0] = f"\\multicolumn{{{len(heads)}}}{{l}}{{{_tex(cell.status)}}}"
            texts = texts[:1]
        lines.append(f"    {_tex(cell.name)} & {' & '.join(texts)} \\\\")
        if cell.is_base and cell is rows[0]:
            lines.append("    \\midrule")
    lines += ["    \\bottomrule", "  \\end{tabular}", "\\end{table}"]
    return "\n".join(lines)


def _best(metric: str, values: Sequence[float]) -> float:
    return (min if metric in LOWER_IS_BETTER else max)(values, default=math.nan)


TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "\\": "\\textbackslash{}",
    "<": "$<$",
    ">": "$>$",
    "→": "$\\rightarrow$",
    "Δ": "$\\Delta$",
    "…": "\\dots{}",
    "·": "$\\cdot$",
    "–": "--",
}


def _tex(text: str) -> str:
    return "".join(TEX.get(character, character) for character in text)


def _escaped(text: str) -> str:
    return text.replace("*", "\\*")


def _starless(cells: Cells) -> Cells:
    """Escape the marks, which Markdown would read as emphasis."""
    return [[_escaped(text) for text in row] for row in cells]


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
