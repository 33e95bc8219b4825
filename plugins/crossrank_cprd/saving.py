"""Students on disk: the weights as safetensors, and beside them a JSON of what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossrank.errors import StoreError
from crossrank.plugin.files import atomic_bytes, atomic_file, read_json
from crossrank.plugin.optional import needs
from crossrank.plugin.torch_weights import check_shapes

if TYPE_CHECKING:
    from crossrank_cprd.student import Student

FORMAT = "crossrank-cprd-student/1"


@dataclass(frozen=True, slots=True)
class Card:
    """What a student is.

    Parameters
    ----------
    sizes
        See `crossrank_cprd.student.StudentSizes`.
    encoder
        What made the features it was trained on; it is refused for any other's. None for unknown.
    weights
        Digest of the file of weights.
    about
        Anything JSON can hold: recipe, teacher, data, figures.
    """

    sizes: Mapping[str, Any]
    encoder: str | None
    weights: str
    about: Mapping[str, Any]


def save_student(
    student: Student,
    path: str | Path,
    *,
    encoder: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write ``path`` and the JSON beside it; each appears only when it is complete.

    Parameters
    ----------
    student
        The weights are stored as float16.
    path
        Ends in ``.safetensors``.
    encoder, about
        See `Card`.

    Raises
    ------
    StoreError
        If the path ends differently, or cannot be written.
    """
    from safetensors.torch import save

    path = _checked(Path(path))
    tensors = {name: each.half().contiguous() for name, each in student.state_dict().items()}
    content = save(tensors)
    card = Card(asdict(student.sizes), encoder, _digest(content), dict(about or {}))
    atomic_bytes(path, content)
    with atomic_file(path.with_suffix(".json")) as file:
        json.dump({"format": FORMAT, **asdict(card)}, file, indent=1)
        file.write("\n")


def load_card(path: str | Path) -> Card:
    """Read what a student is, without its weights.

    Raises
    ------
    StoreError
        If there is no such student, or the JSON is something else.
    """
    path = _checked(Path(path)).with_suffix(".json")
    try:
        found = read_json(path)
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        return Card(**found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"cprd: {path} describes no student: {error}; write one with research/train_cprd.py"
        ) from error


def load_student(path: str | Path) -> Student:
    """Read a student, in evaluation mode and float32.

    Raises
    ------
    StoreError
        If its files are missing, damaged, or do not belong together.
    MissingPackageError
        If torch is not installed.
    """
    with needs("cprd", "cprd", "torch")():
        from safetensors.torch import load

        from crossrank_cprd.student import Student, StudentSizes
    path, card = Path(path), load_card(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cprd: {path} cannot be read: {error}") from error
    if _digest(content) != card.weights:
        raise StoreError(
            f"cprd: {path} is damaged, or not the student that {path.with_suffix('.json').name} "
            "describes; copy both files again"
        )
    tensors = {name: each.float() for name, each in load(content).items()}

    def build(sizes: Mapping[str, Any]) -> Student:
        return Student(StudentSizes(**sizes))

    try:
        check_shapes(build, card.sizes, tensors)
        student = build(card.sizes)
        student.load_state_dict(tensors)
    except (ValueError, TypeError, RuntimeError) as error:
        raise StoreError(
            f"cprd: the sizes in {path.with_suffix('.json').name} are not those of {path}: "
            f"{' '.join(str(error).split())}; copy both files again"
        ) from error
    return student.eval().requires_grad_(False)


def _checked(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise StoreError(f"cprd: a student is a file *.safetensors; got {path}")
    return path


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
