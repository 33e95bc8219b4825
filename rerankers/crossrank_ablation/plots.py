"""Plots of a result as SVG: metric over weight and depth, gain over cost, slices."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crossrank.errors import missing_package
from crossrank_ablation.measuring import LOWER_IS_BETTER

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult

COLOURS = ("#1e1d1b", "#0b7a5c", "#a8480f", "#1d5fd1", "#8a3ffc", "#b8860b", "#007d8a", "#c2185b")
MARKS = "osD^vP*X"
MOST_LINES = 8
MOST_LABELS = 16

Curve = tuple[str, list[tuple[float, float]]]
Step = tuple[float, float, float]
"""Pairs a query, recall ceiling, metric."""


def check_matplotlib() -> None:
    """Refuse to start without the package that draws."""
    if importlib.util.find_spec("matplotlib") is None:
        raise missing_package("matplotlib", extra="ablate", purpose="an ablation's plots")


def plots(result: AblationResult) -> dict[str, str]:
    """Return the plots that the result has numbers for, by name, as SVG; the same for the same."""
    check_matplotlib()
    drawn = {
        "weight": _curves(result, "weight"),
        "depth": _curves(result, "depth"),
        "ceiling": _ceilings(result),
        "cost": _cost(result),
        "slices": _slices(result),
    }
    return {name: svg for name, svg in drawn.items() if svg}


def curves(result: AblationResult, direction: str, key: str) -> list[Curve]:
    """Return the first metric over a setting, the best over all other settings.

    A curve per pipeline and stage that has two values or more; first what was reported, then what
    was tried on the other split.
    """
    metric = result.metrics[0]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    found: dict[str, dict[float, float]] = {}

    def note(label: str, place: Any, value: float) -> None:
        if isinstance(place, int | float) and not isinstance(place, bool):
            line = found.setdefault(label, {})
            known = line.get(float(place), value)
            line[float(place)] = max(known, value, key=lambda each: sign * each)

    for cell in result.of(direction):
        if cell.status == "done":
            pipeline = " → ".join(str(stage["name"]) for stage in cell.stages)
            for stage in cell.stages:
                if f"{stage['name']}.{key}" not in cell.tuned:
                    label = _label(pipeline, str(stage["name"]), cell.encoder)
                    note(label, stage.get(key), cell.metrics[metric])
    for each in result.tried:
        if each["direction"] == direction and each["metrics"]:
            for name, value in each["settings"].items():
                stage_name, _, own = name.rpartition(".")
                if own == key:
                    label = f"{_label(each['cell'], stage_name, None)} (tune)"
                    note(label, value, each["metrics"][metric])
    return [(label, sorted(line.items())) for label, line in found.items() if len(line) > 1]


def _label(pipeline: str, stage: str, encoder: str | None) -> str:
    of = stage if pipeline == stage else f"{stage} in {pipeline}"
    return of if encoder is None else f"{of} · {encoder}"


def _curves(result: AblationResult, key: str) -> str:
    def draw(axis: Any, label: str, points: Any, style: Mapping[str, Any]) -> None:
        axis.plot(*zip(*points, strict=True), **style, label=label)

    per = {direction: curves(result, direction, key) for direction in result.directions}
    return _lines(per, draw, key, result.metrics[0])


def ceilings(result: AblationResult, direction: str) -> list[tuple[str, list[Step]]]:
    """Return per pipeline what each depth of its last stage costs, could reach and reaches.

    A pipeline with two depths or more; of equal depths the best by the first metric.
    """
    metric = result.metrics[0]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    found: dict[str, dict[float, Step]] = {}
    for cell in result.of(direction):
        if cell.status != "done" or cell.ceiling is None or cell.learned:
            continue
        depth, queries = cell.stages[-1].get("depth"), cell.cost.queries
        if isinstance(depth, int) and not isinstance(depth, bool) and queries:
            pipeline = " → ".join(str(stage["name"]) for stage in cell.stages)
            own = found.setdefault(_label(pipeline, pipeline, cell.encoder), {})
            here = (cell.cost.pairs / queries, cell.ceiling, cell.metrics[metric])
            known = own.get(depth, here)
            own[depth] = max(known, here, key=lambda each: sign * each[2])
    return [(label, sorted(own.values())) for label, own in found.items() if len(own) > 1]


def _ceilings(result: AblationResult) -> str:
    """Draw the first metric and the recall ceiling over the pairs that a query costs."""

    def draw(axis: Any, label: str, steps: Any, style: Mapping[str, Any]) -> None:
        cost, ceiling, reached = zip(*steps, strict=True)
        axis.plot(cost, reached, **style, label=label)
        axis.plot(cost, ceiling, **{**style, "linestyle": "--"}, label=f"{label}: ceiling")

    per = {direction: ceilings(result, direction) for direction in result.directions}
    return _lines(per, draw, "pairs a query", f"{result.metrics[0]}, recall ceiling (dashed)")


def _lines(
    per: Mapping[str, Sequence[tuple[str, Any]]], draw: Callable[..., None], x: str, y: str
) -> str:
    """Draw labelled lines, an axis for each direction; the empty str if there are none."""
    if not any(per.values()):
        return ""
    figure, axes = _figure(len(per))
    for axis, (direction, lines) in zip(axes, per.items(), strict=True):
        for number, (label, points) in enumerate(lines[:MOST_LINES]):
            draw(axis, label, points, _style(number))
        cut = f" (first {MOST_LINES} of {len(lines)})" if len(lines) > MOST_LINES else ""
        axis.set_title(direction + cut)
        axis.set_xlabel(x)
        axis.set_ylabel(y)
    _legend(figure, axes)
    return _svg(figure)


def _cost(result: AblationResult) -> str:
    from matplotlib.ticker import LogLocator, NullFormatter

    metric = result.metrics[0]
    figure, axes = _figure(len(result.directions))
    drawn = False
    for axis, direction in zip(axes, result.directions, strict=True):
        points = [
            (cell.cost.pairs_per_second, cell.comparisons[cell.against][metric].difference, cell)
            for cell in result.of(direction)
            if cell.against is not None and cell.cost.pairs_per_second
        ]
        for number, (speed, gain, cell) in enumerate(points):
            drawn = True
            label = cell.name if len(points) <= MOST_LABELS else None
            axis.plot([speed], [gain], **{**_style(number), "linestyle": "none"}, label=label)
        axis.axhline(0, color="#8a857c", linewidth=0.8)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.xaxis.set_major_formatter(lambda speed, place: f"{speed:,.0f}")
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.margins(x=0.1, y=0.15)
        axis.set_title(direction)
        axis.set_xlabel("pairs per second")
        axis.set_ylabel(f"gain in {metric}")
    _legend(figure, axes)
    return _svg(figure) if drawn else ""


def _slices(result: AblationResult) -> str:
    best = {direction: result.best(direction) for direction in result.directions}
    shown = {name: cell for name, cell in best.items() if cell is not None and cell.slices}
    if not shown:
        return ""
    most = max(len(cell.slices) for cell in shown.values())
    figure, axes = _figure(len(shown), height=1.0 + 0.27 * most)
    for axis, (direction, cell) in zip(axes, shown.items(), strict=True):
        labels = []
        for row, each in enumerate(cell.slices):
            labels.append(f"{each.dimension}: {each.label}  ({each.queries:,})")
            if each.low is not None and each.high is not None:
                axis.plot([each.low, each.high], [row, row], color="#8a857c", linewidth=1.5)
            colour = COLOURS[1] if each.difference >= 0 else COLOURS[2]
            axis.plot([each.difference], [row], marker="o", color=colour)
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        axis.invert_yaxis()
        axis.axvline(0, color="#8a857c", linewidth=0.8)
        axis.set_title(f"{direction}: {cell.name}", fontsize=10)
        axis.set_xlabel(f"gain in {result.metrics[0]} (number of queries)")
    return _svg(figure)


def _figure(count: int, height: float = 4.0) -> tuple[Any, Sequence[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6 * count, height), layout="constrained")
    axes: Iterable[Any] = figure.subplots(1, count, squeeze=False)[0]
    members = list(axes)
    for axis in members:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, members


def _legend(figure: Any, axes: Sequence[Any]) -> None:
    """Put one legend for all axes below them, each name once."""
    named: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        figure.legend(
            named.values(),
            named.keys(),
            loc="outside lower center",
            ncols=2 if len(axes) > 1 else 1,
            fontsize=8,
            frameon=False,
        )


def _style(number: int) -> Mapping[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKS[(number + number // len(COLOURS)) % len(MARKS)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def _svg(figure: Any) -> str:
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": "crossrank", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
