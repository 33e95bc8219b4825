"""Advice of the library, in the words of the command line: ``features=['tokens']`` is an option.

Messages name the keyword that mends something.  Whoever typed a command has no keywords: what is an
option becomes one, and what belongs to a stage is written as in ``--stage``.
"""

from __future__ import annotations

import re

OPTIONS = frozenset(
    {
        *("add_to", "append", "calibration", "deadline", "device", "direction", "dtype", "engine"),
        *("features", "memory_budget", "modality", "on_error", "on_item", "ray_address", "resume"),
        *("reuse", "score_threshold", "min_probability", "threads", "top_k", "workers"),
    }
)
"""Keywords that are options of commands under the same name."""

KEYWORD = re.compile(r"\b([a-z_]+)=(\[[^\]]*\]|'[^']*'|True\b|[A-Z]+\b)?")
WORD = re.compile(r"[^][,' ]+")
PHRASES = {
    "fusion=Replace() or fusion=RRF()": "--stage NAME:fusion=replace or NAME:fusion=rrf",
    "make it as Pipeline(stages, calibration=FILE) of crossrank calibrate": (
        "give --calibration FILE of crossrank calibrate"
    ),
    "make them so by collection.with_features(normalise=True), or Collection(…, normalise=True)": (
        "encode them again, or scale them where they are made"
    ),
    "make them with query_ids=queries.ids and candidate_ids=gallery.ids (of from_similarity: "
    "text_ids= and image_ids=)": "write the run with the ids of the collections",
}
"""Whole clauses, where more than a keyword differs."""


def at_terminal(message: str) -> str:
    """Return a message with its advice in the words of the command line."""
    for library, command in PHRASES.items():
        message = message.replace(library, command)
    return KEYWORD.sub(_option, message)


def _option(found: re.Match[str]) -> str:
    name, value = found[1], found[2] or ""
    if name not in OPTIONS:
        return found[0]
    option = f"--{name.replace('_', '-')}"
    if value in ("", "True"):
        return option
    return f"{option} {','.join(WORD.findall(value))}"
