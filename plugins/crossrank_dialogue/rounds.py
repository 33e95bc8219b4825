"""What a conversation remembers of its rounds, in JSON too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crossrank.cli.kit import plain
from crossrank.errors import CrossrankError, FormatError
from crossrank_dialogue.questioners import Question
from crossrank_dialogue.reformulators import Part

SHOWN = 10
"""How many candidates a round remembers by name."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a conversation.

    Parameters
    ----------
    question
        What was asked, and why; the caption answers the first one.
    answer
        What was said.
    parts
        The texts that were searched for then, and what they weigh.
    text
        Caption and dialogue as one text.
    note
        What the reformulator had to say, such as that its model did not answer.
    best
        Ids of the first candidates.
    rank
        That of the target, where one is known.
    """

    question: Question
    answer: str
    parts: tuple[Part, ...]
    text: str
    note: str = ""
    best: tuple[str, ...] = ()
    rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        record: dict[str, Any] = plain(asdict(self))
        return record

    @classmethod
    def from_json(cls, record: Any) -> Round:
        """Read a round.

        Raises
        ------
        FormatError
            Saying what is wrong.
        """
        try:
            return cls(
                question_from_json(record["question"]),
                _text(record["answer"]),
                tuple(Part(_text(p["text"]), float(p["weight"])) for p in record["parts"]),
                _text(record["text"]),
                _text(record["note"]),
                tuple(map(_text, record["best"])),
                None if record["rank"] is None else int(record["rank"]),
            )
        except CrossrankError:
            raise
        except (LookupError, TypeError, ValueError) as error:
            raise FormatError(f"a round cannot be read: {error!r:.100}") from error


def question_from_json(record: Mapping[str, Any]) -> Question:
    """Read a question that `dataclasses.asdict` wrote."""
    return Question(
        _text(record["text"]), _text(record["why"]), tuple(map(_text, record["choices"]))
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FormatError(f"{value!r:.60} stands where a text should")
    return value
