"""A dialogue: a caption, and what was asked and answered about the picture that is looked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from crossrank.errors import FormatError, InputError
from crossrank.plugin.files import check_regular, parse_json


@dataclass(frozen=True, slots=True)
class Turn:
    """One round.

    Parameters
    ----------
    question, answer
        Both with words in them.
    """

    question: str
    answer: str

    def __post_init__(self) -> None:
        for name, value in (("question", self.question), ("answer", self.answer)):
            if not isinstance(value, str):
                raise InputError(f"Turn: the {name} is {value!r:.80}; give a text")
            _check_unicode(f"Turn: the {name}", value)
        if not self.question.strip():
            raise InputError(f"Turn: the answer {self.answer!r:.60} has no question; give both")
        if not self.answer.strip():
            raise InputError(
                f"Turn: the question {self.question!r:.60} has no answer; leave the round out, or "
                "answer 'unknown'"
            )

    def __str__(self) -> str:
        return f"{self.question} {self.answer}"


@dataclass(frozen=True, slots=True)
class Dialogue(Sequence[str]):
    """A caption and rounds of question and answer.

    As a sequence it is the caption and then each round as one text, so that it can be the query of
    `crossrank.rerank` as it stands.

    Parameters
    ----------
    caption
        What was looked for at first.
    turns
        The rounds so far, in order.
    id
        Such as the name of the picture that is looked for; empty where nobody knows.

    Raises
    ------
    InputError
        For an empty caption, or a turn that is none.

    Examples
    --------
    >>> talk = Dialogue("a dog").answered("what color is the dog?", "brown")
    >>> list(talk), talk.rounds
    (['a dog', 'what color is the dog? brown'], 1)
    """

    caption: str
    turns: tuple[Turn, ...] = ()
    id: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.caption, str) or not self.caption.strip():
            raise InputError(
                f"Dialogue: the caption is {self.caption!r}; say in words what is looked for"
            )
        _check_unicode("Dialogue: the caption", self.caption)
        object.__setattr__(self, "turns", tuple(self.turns))
        for turn in self.turns:
            if not isinstance(turn, Turn):
                raise InputError(f"Dialogue: {turn!r} is no Turn; give Turn(question, answer)")

    @property
    def rounds(self) -> int:
        """How many questions have been answered."""
        return len(self.turns)

    def answered(self, question: str, answer: str) -> Dialogue:
        """Return the dialogue with one more round."""
        return replace(self, turns=(*self.turns, Turn(question, answer)))

    def until(self, rounds: int) -> Dialogue:
        """Return the dialogue as it was after some rounds; one that ended before stays as it is."""
        if rounds < 0:
            raise InputError(f"Dialogue.until: rounds is {rounds}; give 0 or more")
        return replace(self, turns=self.turns[:rounds])

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        return (self.caption, *map(str, self.turns))[place]

    def __len__(self) -> int:
        return 1 + len(self.turns)

    def to_json(self) -> dict[str, Any]:
        """Return the dialogue as `from_json` reads it."""
        turns = [{"question": each.question, "answer": each.answer} for each in self.turns]
        return {"image": self.id, "caption": self.caption, "turns": turns}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Dialogue:
        """Read a dialogue, in our form or in that of VisDial and ChatIR.

        Parameters
        ----------
        record
            ``{"image", "caption", "turns": [{"question", "answer"}, …]}``, or
            ``{"img", "dialog": [caption, "question? answer", …]}``.

        Raises
        ------
        FormatError
            Naming the dialogue and what it lacks.
        InputError
            For an empty caption, question or answer.
        """
        if not isinstance(record, Mapping):
            raise FormatError(f"a dialogue is {record!r:.60}; give an object with a caption")
        if "dialog" in record:
            return cls._from_visdial(record)
        id = str(record.get("image", ""))
        if "caption" not in record:
            raise FormatError(f'the dialogue {id!r} has no "caption", only {sorted(record)}')
        turns = []
        for number, turn in enumerate(record.get("turns", ()), 1):
            if not isinstance(turn, Mapping) or not {"question", "answer"} <= turn.keys():
                raise FormatError(
                    f'the dialogue {id!r}, round {number}: give "question" and "answer"'
                )
            turns.append(Turn(turn["question"], turn["answer"]))
        return cls(record["caption"], tuple(turns), id)

    @classmethod
    def _from_visdial(cls, record: Mapping[str, Any]) -> Dialogue:
        id = str(record.get("img", ""))
        lines = record["dialog"]
        if not isinstance(lines, list) or not lines or not all(isinstance(x, str) for x in lines):
            raise FormatError(f'the dialogue {id!r}: "dialog" is no list of texts with a caption')
        turns = []
        for number, line in enumerate(lines[1:], 1):
            question, mark, answer = line.partition("?")
            if not mark:
                raise FormatError(
                    f"the dialogue {id!r}, round {number}: {line!r:.60} has no question mark "
                    "between question and answer"
                )
            turns.append(Turn(question.strip() + "?", answer.strip()))
        return cls(lines[0], tuple(turns), id)


def _check_unicode(what: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} {text!r:.60} has half a character; give valid Unicode") from None


def read_dialogues(path: str | Path) -> list[Dialogue]:
    """Read the dialogues of a ``.json`` list or of a ``.jsonl`` file.

    Raises
    ------
    FormatError
        Naming the file and, in a ``.jsonl``, the line that cannot be read.
    """
    return list(_read(Path(path)))


def _read(path: Path) -> Iterator[Dialogue]:
    for place, record in _records(path):
        try:
            yield Dialogue.from_json(record)
        except (FormatError, InputError) as error:
            raise FormatError(f"{place}: {error}") from error


def _records(path: Path) -> Iterable[tuple[str, Any]]:
    try:
        check_regular(path)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read: {error}; give a .json or .jsonl file") from error
    lines = [(f"{path}:{n}", line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if path.suffix.lower() == ".json":
        lines = [(str(path), text)]
    for place, line in lines:
        try:
            value = parse_json(line)
        except ValueError as error:
            raise FormatError(f"{place} is no JSON: {error}") from error
        members = value if isinstance(value, list) else [value]
        for number, member in enumerate(members):
            yield f"{place}, dialogue {number}" if isinstance(value, list) else place, member
