"""Tables as aligned text and as Markdown."""

from __future__ import annotations

from typing import TypeAlias

from crossrank._text import aligned

Cells: TypeAlias = list[list[str]]
"""Rows of equal length; the first is the header, the first column holds names."""


def value_text(metric: str, value: float, *, sign: bool = False) -> str:
    """Return a value with as many decimals as its metric deserves."""
    decimals = 1 if metric == "MedR" else 2 if metric.startswith(("R@", "MeanR")) else 4
    return f"{value:{'+' if sign else ''}.{decimals}f}"


def text_table(cells: Cells) -> list[str]:
    """Return lines in which names stand left and numbers right."""
    return aligned(cells, range(1, len(cells[0])))


def markdown_table(cells: Cells) -> list[str]:
    """Return the lines of a Markdown table."""
    escaped = [[cell.strip().replace("|", "\\|") for cell in row] for row in cells]
    rule = ["---", *["---:"] * (len(cells[0]) - 1)]
    return [f"| {' | '.join(row)} |" for row in (escaped[0], rule, *escaped[1:])]
