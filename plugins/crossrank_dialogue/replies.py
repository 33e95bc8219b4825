"""What is taken of a model's reply: models talk more than they are asked to."""

from __future__ import annotations

import re

LABEL = re.compile(
    r"^\s*(new caption|caption|in other words|sentence|answer|reply|question)\s*:\s*", re.IGNORECASE
)
BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):]|q\d{1,2}[.):])\s*", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")
THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
UNCERTAIN = re.compile(r"\W*(uncertain|unknown|unsure|not sure|can(no|')t tell)\b", re.IGNORECASE)


def caption_of(reply: str, words: int) -> str:
    """Return the first line that says something, without label, quotes and what passes `words`.

    A line that announces the next one ("Here is the caption:") says nothing.
    """
    lines = [line for line in _lines(reply) if not line.rstrip().endswith(":")]
    return next((text for line in lines if (text := _plain(line, words))), "")


def questions_of(reply: str, most: int, words: int = 30) -> tuple[str, ...]:
    """Return the questions of a reply, one a line, each once.

    A line without a question mark is talk, unless no line has one.

    Parameters
    ----------
    reply
        What the model said.
    most
        How many to return.
    words
        What a question may have; a longer one is left out.
    """
    lines = [_plain(BULLET.sub("", line), words + 1) for line in _lines(reply)]
    lines = [line for line in lines if 1 < len(line.split()) <= words]
    asked = [line for line in lines if line.endswith("?")]
    found = asked if asked else [f"{line.rstrip('.!')}?" for line in lines]
    return tuple(dict.fromkeys(found))[:most]


def is_uncertain(reply: str) -> bool:
    """Return whether a model says that what is known does not answer a question."""
    lines = _lines(reply)
    return bool(lines) and UNCERTAIN.match(LABEL.sub("", lines[0])) is not None


def _lines(reply: str) -> list[str]:
    return [line for line in THOUGHT.sub("", reply).splitlines() if line.strip()]


def _plain(line: str, words: int) -> str:
    kept = LABEL.sub("", CONTROL.sub(" ", line)).split()[:words]
    return " ".join(kept).strip(" \"'“”‘’`*#").strip()
