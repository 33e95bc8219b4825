"""The study's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from qperturb_measures import ALPHAS, BASELINE, BOXES, COMPONENTS, PROJECTORS, Setting

EDGES = (0.0, 1.0, 2.0, 5.0, 100.0)
"""Of the bins of area, in percent of the picture: sides of 4, 8, 12 and 16 pixels."""

Measured = Mapping[Setting, Mapping[str, NDArray[np.bool_]]]
"""Of one model: per setting and score, which queries are answered right."""


def recall(right: NDArray[np.bool_]) -> float:
    """Return R@1 in percent."""
    return 100 * float(right.mean())


def spread(values: Sequence[float], *, sign: bool = False) -> str:
    """Return mean and range over seeds."""
    form = "+.1f" if sign else ".1f"
    low, mean, high = min(values), float(np.mean(values)), max(values)
    return f"{mean:{form}} ({low:{form}} … {high:{form}})"


def compare(
    seeds: Sequence[Measured], score: str, setting: Setting, among: Sequence[NDArray[np.bool_]]
) -> list[str]:
    """Return the cells base, perturbed, gain, queries won and lost, p.

    p is of the exact two-sided sign test on the queries whose answer changed, all seeds together.
    """
    some = [(each, rows) for each, rows in zip(seeds, among, strict=True) if rows.any()]
    base = [each[BASELINE][score][rows] for each, rows in some]
    moved = [each[setting][score][rows] for each, rows in some]
    won = sum(int((b & ~a).sum()) for a, b in zip(base, moved, strict=True))
    lost = sum(int((a & ~b).sum()) for a, b in zip(base, moved, strict=True))
    gains = [recall(b) - recall(a) for a, b in zip(base, moved, strict=True)]
    p = binomtest(won, won + lost).pvalue if won + lost else 1.0
    return [
        spread([recall(each) for each in base]),
        spread([recall(each) for each in moved]),
        spread(gains, sign=True),
        f"{won} / {lost}",
        f"{p:.2g}",
    ]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_area(
    seeds: Sequence[Measured], areas: Sequence[NDArray[np.float64]], score: str, setting: Setting
) -> str:
    """Return R@1 without and with a setting by the area of the smallest mentioned thing."""
    rows = []
    for low, high in [*pairwise(EDGES), (0.0, 100.0)]:
        among = [(100 * each >= low) & (100 * each < high) for each in areas]
        if not any(each.any() for each in among):
            continue
        name = "all" if high - low == 100 else f"{low} to {high} %" if high < 100 else f"≥ {low} %"
        count = str(sum(int(each.sum()) for each in among))
        rows.append([name, count, *compare(seeds, score, setting, among)])
    head = ["smallest thing", "queries", "R@1 without", "R@1 with", "gain", "won / lost", "p"]
    return table(head, rows)


def grid(seeds: Sequence[Measured], score: str) -> str:
    """Return the gain in R@1 of every setting."""
    rows = []
    for projector in PROJECTORS:
        for boxes in BOXES:
            for n_pc in COMPONENTS:
                cells = []
                for alpha in ALPHAS:
                    setting = Setting(projector, boxes, n_pc, alpha)
                    gains = [
                        recall(each[setting][score]) - recall(each[BASELINE][score])
                        for each in seeds
                    ]
                    cells.append(spread(gains, sign=True))
                rows.append([projector, boxes, str(n_pc), *cells])
    return table(["projector", "boxes", "n_pc", *(f"α = {alpha}" for alpha in ALPHAS)], rows)


def best(seeds: Sequence[Measured], score: str) -> Setting:
    """Return the setting of the grid, pca with the mentioned boxes, with the highest mean R@1."""
    known = [each for each in seeds[0] if each.projector == "pca" and each.boxes == "mentioned"]
    return max(known, key=lambda each: np.mean([recall(seed[each][score]) for seed in seeds]))
