"""The tables of a result in LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossrank.evaluation._table import value_text
from crossrank_ablation.measuring import LOWER_IS_BETTER
from crossrank_ablation.tables import cells_of, columns, notes_of, title_of

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult


def to_latex(result: AblationResult) -> str:
    """Return a booktabs table per direction; the best of each column is bold."""
    tables = [_latex(result, direction) for direction in result.directions]
    return "% \\usepackage{booktabs}\n" + "\n\n".join(tables) + "\n"


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
        f"  \\caption{{{_tex(result.name)}, {_tex(title_of(result, direction))}. "
        f"{_tex(notes_of(result, direction)[0])}.}}",
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
