"""Who asks: the interface, and what a question is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from crossrank.errors import InputError
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.view import View


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and why.

    Parameters
    ----------
    text
        The question.
    why
        What spoke for it, in words and numbers.
    choices
        Answers to offer; any other is as good.
    """

    text: str
    why: str = ""
    choices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise InputError(f"Question: the text is {self.text!r}; ask something")


class Questioner(ABC):
    """Asks what would tell the candidates apart."""

    depth: int = 100
    """How many candidates it wants to see."""

    @abstractmethod
    def ask(self, dialogue: Dialogue, view: View) -> Question | None:
        """Return the next question, or None where it knows none.

        Parameters
        ----------
        dialogue
            What was said so far; what it asked already is not asked again.
        view
            The candidates, best first, as many as `depth` where there are so many.
        """


Asker: TypeAlias = Callable[[Dialogue, View], "Question | str | None"]


class AskedBy(Questioner):
    """Any callable ``(dialogue, view) → question``."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker

    def ask(self, dialogue: Dialogue, view: View) -> Question | None:
        """Return what the callable asks."""
        asked = self.asker(dialogue, view)
        return Question(asked) if isinstance(asked, str) else asked


def was_asked(dialogue: Dialogue, question: str) -> bool:
    """Return whether a dialogue has a question already, whatever its capitals and marks."""
    return _bare(question) in {_bare(turn.question) for turn in dialogue.turns}


def _bare(question: str) -> str:
    return " ".join(question.casefold().split()).strip(" ?.!")
