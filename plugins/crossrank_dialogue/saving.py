"""A conversation as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crossrank as cr
from crossrank.cli.kit import plain
from crossrank.errors import CrossrankError, FormatError, InputError
from crossrank.plugin.files import atomic_file, read_json
from crossrank_dialogue.questioners import Question
from crossrank_dialogue.rounds import Round, question_from_json

if TYPE_CHECKING:
    from crossrank_dialogue.chat import Chat

FORMAT = "crossrank chat 1"


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file says of a conversation.

    Parameters
    ----------
    gallery
        Its fingerprint.
    size
        How many items it had.
    depth, target
        As for `Chat`.
    rounds, pending, passed
        What was said, the question that waited, and those that were passed over.
    """

    gallery: str
    size: int
    depth: int
    target: str | None
    rounds: tuple[Round, ...]
    pending: Question | None
    passed: tuple[str, ...]

    def check_gallery(self, gallery: cr.Collection, changed: str) -> bool:
        """Return whether a gallery is the one of the conversation.

        Raises
        ------
        InputError
            If it is not, and `changed` is ``"raise"``.
        """
        if changed not in ("raise", "rank"):
            raise InputError(f"Chat.resume: changed is {changed!r:.80}; give 'raise' or 'rank'")
        same = gallery.fingerprint() == self.gallery
        if not same and changed == "raise":
            raise InputError(
                f"Chat.resume: the gallery changed: the talk was held on {self.size} items, there "
                f"are {len(gallery)} now, or others; give changed='rank' to go on with these"
            )
        return same


def described(
    chat: Chat, rounds: Sequence[Round], pending: Question | None, passed: Sequence[str]
) -> dict[str, Any]:
    """Return a conversation in JSON."""
    talk = chat.dialogue
    return {
        "format": FORMAT,
        "gallery": chat.gallery.fingerprint(),
        "size": len(chat.gallery),
        "pipeline": repr(chat.pipeline),
        "depth": chat.depth,
        "target": chat.target,
        "dialogue": None if talk is None else talk.to_json(),
        "rounds": [each.to_json() for each in rounds],
        "pending": None if pending is None else plain(asdict(pending)),
        "passed": list(passed),
    }


def write_chat(path: Path, record: dict[str, Any]) -> None:
    """Write a conversation; the file appears, or is replaced, when it is complete."""
    with atomic_file(path) as file:
        json.dump(record, file, ensure_ascii=False, indent=1)
        file.write("\n")


def read_chat(path: Path) -> Saved:
    """Read what `write_chat` wrote."""
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as a conversation: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise FormatError(f"{path} is no conversation that crossrank chat saved")
    try:
        pending = record["pending"]
        return Saved(
            str(record["gallery"]),
            int(record["size"]),
            int(record["depth"]),
            None if record["target"] is None else str(record["target"]),
            tuple(map(Round.from_json, record["rounds"])),
            None if pending is None else question_from_json(pending),
            tuple(map(str, record["passed"])),
        )
    except (CrossrankError, LookupError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is damaged: {error!r:.200}; start again without it") from error
