"""The prompts, which lie beside this file as texts, filled in."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template

from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.models import Message

BETWEEN = "\n=====\n"
"""What stands between the words of the system and those of the user."""


def prompt(name: str, dialogue: Dialogue, **values: str) -> list[Message]:
    """Return the messages of a prompt.

    `values` fill in what the file leaves open besides ``$caption`` and ``$rounds``.
    """
    system, user = _read(name)
    rounds = "\n".join(
        f"Question: {turn.question}\nAnswer: {turn.answer}" for turn in dialogue.turns
    )
    filled = Template(user).substitute(caption=dialogue.caption, rounds=rounds, **values)
    return [{"role": "system", "content": system}, {"role": "user", "content": filled.strip()}]


@cache
def _read(name: str) -> tuple[str, str]:
    text = files("crossrank_dialogue").joinpath("prompts", f"{name}.txt").read_text("utf-8")
    system, _, user = text.partition(BETWEEN)
    return system.strip(), user
