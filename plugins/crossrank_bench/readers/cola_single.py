"""Cola, single objects: several attributes of one thing, asked of many pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError
from crossrank_bench.benchmark import Benchmark, Collecting
from crossrank_bench.pictures import Shot
from crossrank_bench.readers.files import content_of, find_files

ENTRY = "[picture, objects, labels, hard], objects left out for PACO"


def read(data: Path) -> Benchmark:
    """Read ``{"labels": …, "data": …}``, or the same two in a list, as Cola's own script has it.

    Per class only the pictures that are hard for it count; a class that none of them shows is
    left out.
    """
    (path, *_) = find_files("cola-single", data, ("*single*.json",), ("data", "cola", "cola/data"))
    found = content_of("cola-single", path)
    if isinstance(found, Mapping) and {"labels", "data"} <= set(found):
        classes, rows = found["labels"], found["data"]
    elif isinstance(found, list) and len(found) == 2:
        classes, rows = found
    else:
        raise FormatError(
            f"bench cola-single: {path} is neither {{labels, data}} nor [labels, data]"
        )
    if not (isinstance(classes, list) and isinstance(rows, list)):
        raise FormatError(f"bench cola-single: labels and data of {path} are not two lists")
    read_rows = [
        _row(f"bench cola-single: entry {place} of {path}", row, len(classes))
        for place, row in enumerate(rows)
    ]
    made = Collecting()
    left_out = 0
    for place, name in enumerate(classes):
        hard = [(shot, labels[place]) for shot, labels, hards in read_rows if hards[place]]
        if not any(label for _, label in hard):
            left_out += 1
            continue
        shots, relevant = zip(*hard, strict=True)
        made.add(str(place), "", shots, [str(name)], relevant)
    if not made.cases:
        raise FormatError(f"bench cola-single: no class of {path} has a picture that shows it")
    notes = [f"{left_out} of {len(classes)} classes have no picture that shows them"]
    return made.benchmark("cola-single", "labels", notes if left_out else ())


def _row(where: str, row: Any, classes: int) -> tuple[Shot, Sequence[bool], Sequence[bool]]:
    if isinstance(row, Mapping):
        picture = row.get("image_file", row.get("image"))
        labels, hard = row.get("label", row.get("labels")), row.get("hard_list", row.get("hard"))
    elif isinstance(row, list) and len(row) in (3, 4):
        picture, labels, hard = row[0], row[-2], row[-1]
    else:
        raise FormatError(f"{where} is not {ENTRY}")
    if not isinstance(picture, str) or not isinstance(labels, list) or not isinstance(hard, list):
        raise FormatError(f"{where} is not {ENTRY}")
    if len(labels) != classes or len(hard) != classes:
        raise FormatError(
            f"{where} has {len(labels)} labels and {len(hard)} marks of hard pictures for "
            f"{classes} classes"
        )
    return Shot(picture), [bool(each) for each in labels], [bool(each) for each in hard]
