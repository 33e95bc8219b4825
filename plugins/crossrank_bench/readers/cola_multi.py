"""Cola, several objects: two pictures and two captions whose attributes are swapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError
from crossrank_bench.benchmark import Benchmark, Collecting
from crossrank_bench.pictures import Shot
from crossrank_bench.readers.files import entries, find_files, text_of

KEYS = (
    ("image1", "image_1", "image_0"),
    ("caption1", "caption_1", "caption_0"),
    ("image2", "image_2", "image_1"),
    ("caption2", "caption_2", "caption_1"),
)


def read(data: Path) -> Benchmark:
    """Read items ``[picture 1, caption 1, picture 2, caption 2]``, or objects of these.

    Ray et al., "Cola", NeurIPS 2023 (Datasets and Benchmarks); its score is ``image``.
    """
    patterns = ("*multi*.json", "*hardcontrastive*.json")
    (path, *_) = find_files("cola", data, patterns, ("data", "cola", "cola/data"))
    made = Collecting()
    for key, entry in entries("cola", path):
        one, first, two, second = _four(f"bench cola: item {key} of {path}", entry)
        made.add(key, "", [Shot(one), Shot(two)], [first, second])
    return made.benchmark("cola", "pairs")


def _four(where: str, entry: Any) -> tuple[str, str, str, str]:
    if isinstance(entry, Mapping):
        # of objects that count from 0, picture 1 is the second
        zero = "image_0" in entry
        keys = [(names[-1:] if zero else names[:2]) for names in KEYS]
        one, first, two, second = (text_of(where, entry, *names) for names in keys)
        return one, first, two, second
    if isinstance(entry, list) and len(entry) == 4 and all(isinstance(e, str) for e in entry):
        return entry[0], entry[1], entry[2], entry[3]
    raise FormatError(f"{where} is not [picture 1, caption 1, picture 2, caption 2]")
