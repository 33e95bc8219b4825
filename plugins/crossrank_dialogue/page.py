"""The page of a conversation: what was said, what is asked, and the pictures as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from crossrank.errors import ImageError
from crossrank.report import Picture, embed, page_template
from crossrank_dialogue.chat import Chat

SHOWN = 12
"""Pictures on the page."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the list.

    Parameters
    ----------
    id
        Its name.
    picture
        The picture itself; None where its file cannot be read.
    rank, before
        Now, and in the round before; None where it was not among the candidates.
    """

    id: str
    picture: Picture | None
    rank: int
    before: int | None

    @property
    def moved(self) -> int:
        """Places won (positive) or lost (negative); 0 where nothing is known."""
        return 0 if self.before is None else self.before - self.rank


def render(chat: Chat, token: str, message: str = "") -> str:
    """Return the page as HTML; every text in it is escaped."""
    template = page_template(
        "crossrank_dialogue", "chat.html", extra="dialogue", purpose="the page"
    )
    asked = chat.ask()
    return template.render(
        asked=asked,
        question=chat.question,
        rounds=chat.trace,
        tiles=tiles(chat),
        size=len(chat.gallery),
        stages="search alone"
        if chat.pipeline is None
        else " → ".join(stage.name for stage in chat.pipeline.stages),
        token=token,
        message=message,
    )


def tiles(chat: Chat) -> list[Tile]:
    """Return the first pictures of the ranking."""
    if not chat.trace:
        return []
    before: dict[str, int] = {}
    if len(chat.trace) > 1:
        before = {id: rank for rank, id in enumerate(chat.ranking_of(len(chat.trace) - 2).ids, 1)}
    paths: Sequence[str] | None = None
    if "path" in chat.gallery:
        paths = chat.gallery["path"]
    return [
        Tile(
            hit.id,
            None if paths is None else thumbnail(paths[hit.index]),
            hit.rank,
            before.get(hit.id),
        )
        for hit in chat.ranking[:SHOWN]
    ]


@lru_cache(maxsize=512)
def thumbnail(path: str) -> Picture | None:
    """Return a small picture; None where the file is gone, no picture, or not to be shown."""
    try:
        return embed(path, longest=320)
    except ImageError:
        return None
