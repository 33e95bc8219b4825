"""A page of curves over rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError
from crossrank.plugin.files import atomic_file
from crossrank.report import page_template
from crossrank_dialogue.measures import bri, hits_at, log_rank, recall_at

WIDTH, HEIGHT = 320.0, 180.0
"""Of a chart, in its own units."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One way's values over the rounds.

    Parameters
    ----------
    name
        The way's.
    values
        From round 0.
    points
        The line, as an SVG polyline takes it.
    """

    name: str
    values: tuple[float, ...]
    points: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure of all ways; `low` and `high` are what the lower and upper edge stand for."""

    name: str
    low: float
    high: float
    digits: int
    curves: tuple[Curve, ...]


def write_report(path: str | Path, ranks: Mapping[str, ArrayLike], title: str) -> None:
    """Write a page with R@1, R@10 and the mean log rank over the rounds, and the best so far.

    Parameters
    ----------
    path
        The HTML file; one that exists is replaced.
    ranks
        Per way of asking or rewriting ``[queries, rounds + 1]``, as many rounds each.
    title
        Its heading.

    Raises
    ------
    InputError
        If there is nothing to draw, or the ways differ in rounds.
    MissingPackageError
        If Jinja2 is not installed.
    """
    arrays = {name: np.asarray(own) for name, own in ranks.items()}
    if not arrays or len({own.shape[-1] for own in arrays.values()}) != 1:
        raise InputError(
            "write_report: give at least one way, all of as many rounds "
            "(crossrank_dialogue.padded evens them out)"
        )
    template = page_template(
        "crossrank_dialogue", "rounds.html", extra="dialogue", purpose="the report"
    )
    best = [(name, bri(own), 100 * float(hits_at(own, 10)[-1])) for name, own in arrays.items()]
    with atomic_file(Path(path)) as file:
        file.write(template.render(title=title, charts=charts(arrays), best=best))


def charts(ranks: Mapping[str, NDArray[np.generic]]) -> list[Chart]:
    """Return what is drawn."""
    found = []
    for name, measure, digits in (
        ("R@1", lambda own: 100 * recall_at(own, 1), 1),
        ("R@10", lambda own: 100 * recall_at(own, 10), 1),
        ("mean log rank (lower is better)", log_rank, 3),
    ):
        values = {way: measure(own) for way, own in ranks.items()}
        low = min(float(own.min()) for own in values.values())
        high = max(float(own.max()) for own in values.values())
        curves = (
            Curve(way, tuple(own.tolist()), _line(own.tolist(), low, high))
            for way, own in values.items()
        )
        found.append(Chart(name, low, high, digits, tuple(curves)))
    return found


def _line(values: Sequence[float], low: float, high: float) -> str:
    spread = high - low if high > low else 1.0
    step = WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{place * step:.1f},{HEIGHT * (1 - (value - low) / spread):.1f}"
        for place, value in enumerate(values)
    )
