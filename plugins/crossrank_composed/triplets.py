"""Composed queries of benchmarks: a reference picture, an edit in words, a target picture.

================== ================================================================================
`read_cirr`        ``cap.rc2.{split}.json`` of CIRR (Liu et al., ICCV 2021), with the subset
                   of pictures that its subset recall is counted in
`read_fashioniq`   ``cap.{dress,shirt,toptee}.{split}.json`` of FashionIQ (Wu et al., CVPR 2021),
                   its two captions joined by "and"
`read_edits`       JSON lines with ``reference``, ``edit`` and ``target``
================== ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError
from crossrank.plugin.files import read_json, read_json_lines


@dataclass(frozen=True, slots=True)
class Triplet:
    """One composed query.

    Parameters
    ----------
    id
        Of the query.
    reference, target
        Ids of pictures; the target is empty where a test set keeps it to itself.
    edit
        What is to be different.
    members
        The subset of the gallery for subset recall, with the target and without the reference.
    """

    id: str
    reference: str
    edit: str
    target: str
    members: tuple[str, ...] = ()


def read_cirr(path: str | Path) -> list[Triplet]:
    """Read a file of CIRR.

    Raises
    ------
    FormatError
        Naming file and record of what cannot be read.
    """

    def triplet(number: int, record: Mapping[str, Any]) -> Triplet:
        reference = str(record["reference"])
        members = record.get("img_set", {}).get("members", ())
        return Triplet(
            str(record["pairid"]),
            reference,
            _text(record["caption"]),
            str(record.get("target_hard", "")),
            tuple(str(each) for each in members if str(each) != reference),
        )

    return _records(Path(path), triplet)


def read_fashioniq(path: str | Path) -> list[Triplet]:
    """Read a file of FashionIQ, as `read_cirr`."""

    def triplet(number: int, record: Mapping[str, Any]) -> Triplet:
        captions = [_text(each) for each in record["captions"]]
        edit = " and ".join(each.strip(" .?!,") for each in captions)
        return Triplet(f"q{number}", str(record["candidate"]), edit, str(record.get("target", "")))

    return _records(Path(path), triplet)


def read_edits(path: str | Path) -> list[Triplet]:
    """Read JSON lines with ``reference``, ``edit`` and ``target``, as `read_cirr`."""

    def triplet(number: int, record: Mapping[str, Any]) -> Triplet:
        reference, target = str(record["reference"]), str(record["target"])
        return Triplet(f"q{number}", reference, _text(record["edit"]), target)

    return _records(Path(path), triplet)


def _records(path: Path, make: Callable[[int, Mapping[str, Any]], Triplet]) -> list[Triplet]:
    try:
        lines = path.suffix == ".jsonl"
        records = [each for _, each in read_json_lines(path)] if lines else read_json(path)
        if not isinstance(records, list):
            raise TypeError("it is no list")
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    made: list[Triplet] = []
    ids: set[str] = set()
    for number, record in enumerate(records):
        try:
            triplet = make(number, record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(
                f"{path}, record {number} is no composed query: {type(error).__name__}: {error}"
            ) from error
        if triplet.id in ids:
            raise FormatError(f"{path}, record {number} has the id {triplet.id!r} of another one")
        ids.add(triplet.id)
        made.append(triplet)
    return made


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"the text is {value!r}")
    return value
