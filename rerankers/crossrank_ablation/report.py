"""The report: one HTML page that holds everything it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossrank.errors import ImageError
from crossrank.report import Picture, data_uri, embed, overlays, page_template, scale
from crossrank_ablation.cell_result import CellResult
from crossrank_ablation.stories import Gallery
from crossrank_ablation.tables import cells_of, columns, p_text, to_text

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult

SIZES = ((300, 270, 76), (500, 220, 72), (900, 180, 68), (1 << 30, 120, 60))
"""How many pictures, at most, are embedded at how many pixels and which quality."""

ROW_HEIGHT, COLUMN_WIDTH = 26, 240


def render(result: AblationResult, drawn: Mapping[str, str]) -> str:
    """Return the page with its plots, as SVG; every text is escaped, and nothing is fetched."""
    template = page_template(
        "crossrank_ablation", "report.html", extra="ablate", purpose="an ablation's report"
    )
    galleries = [] if result.galleries is None else list(result.galleries())
    pictures = _pictures(galleries)
    return template.render(
        result=result,
        columns=[*columns(result), "ms/query", "pairs/s", "calls"],
        tables={direction: _rows(result, direction) for direction in result.directions},
        summary=_summary(result),
        plots={name: data_uri(svg.encode(), "image/svg+xml") for name, svg in drawn.items()},
        captions=CAPTIONS,
        tree=_tree(result),
        galleries=galleries,
        pictures=pictures,
        style={path: f"p{number}" for number, path in enumerate(pictures)},
        overlays=overlays,
        scale=scale,
        text=to_text(result),
    )


CAPTIONS = {
    "weight": "The first metric over the weight of a stage; the best over all other settings.",
    "depth": "The first metric over the depth of a stage; the best over all other settings.",
    "ceiling": "What each depth of the last stage costs, reaches, and could reach (dashed).",
    "cost": "The gain over the base against how many candidate pairs a second the pipeline does.",
    "slices": "For which queries the best pipeline helps: the gain with its interval per group.",
}


def _rows(result: AblationResult, direction: str) -> list[dict[str, Any]]:
    rows = []
    for cell in result.of(direction):
        cost = cell.cost
        speed = cost.pairs_per_second
        extra: list[tuple[str, float | None]] = [("", None)] * 3
        if cell.status == "done" and cell.stages:
            milliseconds = cost.milliseconds_per_query
            extra = [
                ("" if milliseconds is None else f"{milliseconds:.2f}", milliseconds),
                ("" if speed is None else f"{speed:,.0f}", speed),
                (str(cell.scorer_calls), float(cell.scorer_calls)),
            ]
        shown = list(zip(cells_of(result, cell), _sortable(result, cell), strict=True))
        rows.append({"cell": cell, "values": [*shown, *extra]})
    return rows


def _sortable(result: AblationResult, cell: CellResult) -> list[float | None]:
    """Return the number behind each text of a row."""
    if cell.status != "done":
        return [None] * len(columns(result))
    values: list[float | None] = [cell.metrics[name] for name in result.metrics]
    if cell.against is None:
        return [*values, *[None] * 5]
    each = cell.comparisons[cell.against][result.metrics[0]]
    won = float(each.wins - each.losses)
    return [*values, each.difference, each.low, each.p_value, each.p_holm, won]


def _summary(result: AblationResult) -> list[str]:
    metric = result.metrics[0]
    notes = []
    for direction in result.directions:
        best = result.best(direction)
        if best is None or best.against is None:
            continue
        each = best.comparisons[best.against][metric]
        sure = (
            ""
            if each.p_holm is None
            else f" (p Holm {p_text(each.p_holm)})"
            if each.p_holm < result.alpha
            else f", which the tests cannot tell from chance (p Holm {p_text(each.p_holm)})"
        )
        notes.append(
            f"{direction}: the best of {len(result.of(direction)) - 1} pipelines is {best.name}, "
            f"{metric} {best.metrics[metric]:.2f}, {each.difference:+.2f} over the base{sure}."
        )
    if result.failed:
        notes.append(f"{len(result.failed)} cells failed; the table says why.")
    return notes


def _tree(result: AblationResult) -> dict[str, Any]:
    """Return boxes and lines of the tree for an SVG."""
    nodes = [
        {**node, "x": COLUMN_WIDTH * node["depth"] + 4, "y": ROW_HEIGHT * node["row"] + 4}
        for node in result.drawing
    ]
    lines = [(nodes[node["parent"]], node) for node in nodes if node["parent"] is not None]
    return {
        "nodes": nodes,
        "lines": lines,
        "width": COLUMN_WIDTH * (1 + max((node["depth"] for node in nodes), default=0)),
        "height": ROW_HEIGHT * (1 + max((node["row"] for node in nodes), default=0)) + 8,
        "box": COLUMN_WIDTH - 40,
    }


def _pictures(galleries: Sequence[Gallery]) -> dict[str, Picture]:
    """Embed every picture once, smaller where there are many."""
    shown: dict[str, None] = {}
    for gallery in galleries:
        for story in gallery.stories:
            for path in (story.picture, *(card.picture for card in story.cards)):
                if path is not None:
                    shown.setdefault(path)
    _, longest, quality = next(each for each in SIZES if len(shown) <= each[0])
    pictures = {}
    for path in shown:
        try:
            pictures[path] = embed(Path(path), longest, quality)
        except ImageError:  # the story is told without it
            continue
    return pictures
