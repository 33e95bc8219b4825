"""The page: one HTML file that holds everything it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossrank.evaluation import Evaluation
from crossrank.report import Picture, overlays, page_template, scale
from crossrank_demo.scenes import Photograph
from crossrank_demo.story import SHOWN, Chapter, words_of


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


def render(page: Page) -> str:
    """Return the page as HTML; every text in it is escaped."""
    template = page_template("crossrank_demo", "page.html", extra="demo", purpose="the demo")
    return template.render(
        page=page,
        style={id: f"p{number}" for number, id in enumerate(page.pictures)},
        shown=SHOWN,
        open=opened(page.chapters),
        lines=lines,
        overlays=overlays,
        scale=scale,
        words_of=words_of,
    )


def opened(chapters: Sequence[Chapter]) -> int:
    """Return which query is unfolded: the first where the first place changed hands."""
    for number, chapter in enumerate(chapters):
        if chapter.story.first[0].id != chapter.story.last[0].id:
            return number
    return 0


def lines(chapter: Chapter) -> list[dict[str, Any]]:
    """Return where each candidate's line starts and ends, in places from 0.5; beyond is outside."""
    return [
        {
            "start": min(card.base_rank, SHOWN + 1) - 0.5,
            "end": min(card.rank, SHOWN + 1) - 0.5,
            "relevant": card.relevant,
        }
        for card in chapter.story.cards
    ]
