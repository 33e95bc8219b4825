"""What may be asked about a picture of which nothing is known but how texts fit it."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

_READ: dict[str, Any] = tomllib.loads(
    files("crossrank_dialogue").joinpath("vocabulary.toml").read_text("utf-8")
)

THINGS: tuple[str, ...] = tuple(_READ["things"])
"""Asked with "Is there … in the picture?"."""

CHOICES: tuple[tuple[str, tuple[str, ...]], ...] = tuple(
    (question, tuple(answers)) for question, answers in _READ["choices"].items()
)
"""Questions with several answers."""

BARE = frozenset(["food", "fruit", "sand", "snow", "grass", "mud", "water", "leaves"])
"""Nouns without an article that are no plurals of ours."""


def with_article(thing: str) -> str:
    """Return a thing as a question names it.

    Examples
    --------
    >>> with_article("umbrella"), with_article("snow"), with_article("stairs")
    ('an umbrella', 'snow', 'stairs')
    """
    if thing in BARE or _is_plural(thing):
        return thing
    return f"{'an' if thing[:1].casefold() in tuple('aeiou') else 'a'} {thing}"


def is_there(thing: str) -> str:
    """Return the question whether a thing is there.

    Examples
    --------
    >>> is_there("dog"), is_there("stairs")
    ('Is there a dog in the picture?', 'Are there stairs in the picture?')
    """
    many = _is_plural(thing) or thing == "leaves"
    return f"{'Are' if many else 'Is'} there {with_article(thing)} in the picture?"


def _is_plural(thing: str) -> bool:
    return thing.endswith("s") and not thing.endswith(("ss", "us", "bus"))
