"""From a dialogue to the query that a matcher ranks by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossrank.errors import InputError, UnknownIdError, nearest
from crossrank.plugin.parameters import at_least, check
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.statements import is_unknown, statement


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a query, and what its scores weigh beside those of the others."""

    text: str
    weight: float = 1.0


class Reformulator(ABC):
    """Rewrites a dialogue.

    A subclass writes `rewrite`, and `apart` where it can leave out the caption.
    """

    @abstractmethod
    def rewrite(self, dialogue: Dialogue) -> str:
        """Return one text that says what caption and dialogue say."""

    def apart(self, dialogue: Dialogue) -> str:
        """Return what the dialogue says beyond its caption; empty for nothing.

        By default the whole of `rewrite`, and nothing where it is still the caption.
        """
        text = self.rewrite(dialogue)
        return "" if text == dialogue.caption else text

    def note(self, dialogue: Dialogue) -> str:
        """Return what a trace should say of the rewrite, such as who stood in for whom."""
        return ""

    def parts(self, dialogue: Dialogue) -> tuple[Part, ...]:
        """Return the texts whose scores are added up, by default one."""
        return (Part(self.rewrite(dialogue)),)


class Appended(Reformulator):
    """Appends texts to the caption, with commas between them."""

    @abstractmethod
    def statements(self, dialogue: Dialogue) -> list[str]:
        """Return what is appended."""

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return caption and statements, with commas between them."""
        return ", ".join([dialogue.caption, *self.statements(dialogue)])

    def apart(self, dialogue: Dialogue) -> str:
        """Return the statements, with commas between them."""
        return ", ".join(self.statements(dialogue))


class Concat(Appended):
    """Appends questions and answers as they are, as ChatIR does.

    To a matcher that never saw dialogues this is noise (Lee et al., PlugIR, ACL 2024): it is here
    to be compared with.
    """

    def statements(self, dialogue: Dialogue) -> list[str]:
        """Return every question with its answer."""
        return list(dialogue[1:])


class Answers(Appended):
    """Appends what was answered and leaves out what was asked."""

    def statements(self, dialogue: Dialogue) -> list[str]:
        """Return the answers that say something."""
        return [turn.answer for turn in dialogue.turns if not is_unknown(turn.answer)]


@dataclass(frozen=True, slots=True)
class Rules(Appended):
    """Turns each round into a statement by rules of English; no model is asked.

    Parameters
    ----------
    negations
        Whether a bare "no" is put into words: see `crossrank_dialogue.statement`.
    """

    negations: bool = False

    def statements(self, dialogue: Dialogue) -> list[str]:
        """Return the statements of the rounds that say something, each once."""
        statements = [
            statement(turn.question, turn.answer, negations=self.negations)
            for turn in dialogue.turns
        ]
        return list(dict.fromkeys(text for text in statements if text))


class Precomputed(Reformulator):
    """Rewrites that were made before, such as PlugIR's by a language model.

    Parameters
    ----------
    texts
        Per dialogue id its texts, one per round from round 0; later rounds keep the last one.

    Raises
    ------
    InputError
        If a dialogue has no texts.
    """

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        for id, own in texts.items():
            if isinstance(own, str) or not own:
                raise InputError(f"Precomputed: {id!r} has no texts; give one per round, from 0")
        self.texts = texts

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return the text of the dialogue's round.

        Raises
        ------
        UnknownIdError
            If there is none for this dialogue.
        """
        if dialogue.id not in self.texts:
            raise UnknownIdError(
                f"Precomputed: no rewrites of the dialogue {dialogue.id!r}"
                f"{nearest(dialogue.id, list(self.texts)[:1000])}"
            )
        own = self.texts[dialogue.id]
        return own[min(dialogue.rounds, len(own) - 1)]


@dataclass(frozen=True, slots=True)
class Fuse(Reformulator):
    """Scores the caption and what the dialogue adds apart, and adds the scores up.

    Parameters
    ----------
    inner
        How the dialogue is rewritten.
    weight
        Of the dialogue beside the caption's 1.

    Notes
    -----
    A matcher of captions reads a long text as badly as a text of another kind: each round takes
    weight from the caption.  Apart, the caption keeps its own.
    """

    inner: Reformulator = Rules()
    weight: float = 0.7

    def __post_init__(self) -> None:
        check("Fuse", self, weight=at_least(0))

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return the one text of the inner reformulator."""
        return self.inner.rewrite(dialogue)

    def note(self, dialogue: Dialogue) -> str:
        """Return what the inner reformulator has to say."""
        return self.inner.note(dialogue)

    def apart(self, dialogue: Dialogue) -> str:
        """Return what the inner reformulator says without the caption."""
        return self.inner.apart(dialogue)

    def parts(self, dialogue: Dialogue) -> tuple[Part, ...]:
        """Return the caption, and what the dialogue adds where it adds something."""
        statements = self.inner.apart(dialogue)
        caption = Part(dialogue.caption)
        return (
            (caption, Part(statements, self.weight)) if statements and self.weight else (caption,)
        )
