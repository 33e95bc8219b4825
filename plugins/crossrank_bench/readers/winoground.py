"""Winoground: two pictures and two captions of the same words."""

from __future__ import annotations

from pathlib import Path

from crossrank_bench.benchmark import Benchmark, Collecting
from crossrank_bench.pictures import Shot
from crossrank_bench.readers.files import entries, find_files, text_of


def read(data: Path) -> Benchmark:
    """Read ``examples.jsonl``; categories are the tags.

    Thrush et al., "Winoground", CVPR 2022.
    """
    patterns = ("examples.jsonl", "examples.json", "*winoground*.json*")
    (path, *_) = find_files("winoground", data, patterns, ("data", "winoground", "winoground/data"))
    made = Collecting()
    for key, entry in entries("winoground", path):
        where = f"bench winoground: item {key} of {path}"
        tag = entry.get("collapsed_tag") or entry.get("tag") if isinstance(entry, dict) else None
        made.add(
            str(entry.get("id", key)) if isinstance(entry, dict) else key,
            str(tag or ""),
            [Shot(text_of(where, entry, name)) for name in ("image_0", "image_1")],
            [text_of(where, entry, name) for name in ("caption_0", "caption_1")],
        )
    return made.benchmark("winoground", "pairs")
