"""The page: one HTML file that holds everything it shows."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossrank.errors import missing_package
from crossrank.evaluation import Evaluation
from crossrank_demo.heatmap import gradient
from crossrank_demo.pictures import Picture
from crossrank_demo.scenes import Photograph
from crossrank_demo.story import SHOWN, Card, Chapter


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page says.

    Parameters
    ----------
    title
        Its heading.
    summary
        The outcome in plain sentences.
    encoder, reranker
        Their names.
    depth
        How many candidates of each query were reranked.
    evaluation
        The metrics of ``"base"`` and ``"reranked"``.
    chapters
        The queries.
    photographs
        For the attributions.
    pictures
        Every crop by its id.
    steps
        How it was made: what was called, one line each.
    versions
        Package versions.
    """

    title: str
    summary: Sequence[str]
    encoder: str
    reranker: str
    depth: int
    evaluation: Evaluation
    chapters: Sequence[Chapter]
    photographs: Sequence[Photograph]
    pictures: Mapping[str, Picture]
    steps: Sequence[str]
    versions: Mapping[str, str]


def check_jinja() -> None:
    """Refuse to start without the package that fills in the template.

    Raises
    ------
    MissingPackageError
        If Jinja2 is not installed.
    """
    if importlib.util.find_spec("jinja2") is None:
        raise missing_package("jinja2", extra="demo", purpose="the demo")


def render(page: Page) -> str:
    """Return the page as HTML; every text in it is escaped."""
    check_jinja()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("crossrank_demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda part: f"{100 * part:.2f}%"
    environment.filters["signed"] = lambda value, digits=2: f"{value:+.{digits}f}".replace("-", "−")
    environment.filters["plain"] = lambda value, digits=2: f"{value:.{digits}f}".replace("-", "−")
    return environment.get_template("page.html").render(
        page=page,
        style={id: f"p{number}" for number, id in enumerate(page.pictures)},
        gradient=gradient(),
        shown=SHOWN,
        open=opened(page.chapters),
        lines=lines,
        overlays=overlays,
    )


def opened(chapters: Sequence[Chapter]) -> int:
    """Return which query is unfolded: the first where the first place changed hands."""
    for number, chapter in enumerate(chapters):
        if chapter.before[0].hit.id != chapter.after[0].hit.id:
            return number
    return 0


def lines(chapter: Chapter) -> list[dict[str, Any]]:
    """Return where each candidate's line starts and ends, in places from 0.5; beyond is outside."""
    return [
        {
            "start": min(card.hit.base_rank, SHOWN + 1) - 0.5,
            "end": min(card.hit.rank, SHOWN + 1) - 0.5,
            "relevant": card.relevant,
        }
        for card in chapter.cards
    ]


def overlays(cards: Sequence[Card]) -> list[list[dict[str, Any]]]:
    """Return per candidate and word what is laid over the picture, for the page's script."""
    return [[{"heat": word.heat, "box": word.box} for word in card.words] for card in cards]
