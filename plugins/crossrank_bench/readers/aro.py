"""ARO's attributions and relations: part of a picture, a true caption and a false one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossrank_bench.benchmark import Benchmark, Collecting
from crossrank_bench.pictures import Shot
from crossrank_bench.readers.files import entries, find_files, text_of

BOX = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")


def read(data: Path) -> Benchmark:
    """Read ``visual_genome_relation.json`` and ``visual_genome_attribution.json``.

    Yuksekgonul et al., "When and why vision-language models behave like bags-of-words", ICLR 2023.
    Pictures are cut to the box that an entry names.
    """
    patterns = ("visual_genome_[ra]*.json", "*relation*.json", "*attribution*.json")
    made = Collecting()
    for path in find_files("aro", data, patterns, ("data", "aro", "ARO")):
        category = "attribution" if "attribut" in path.stem else "relation"
        for key, entry in entries("aro", path):
            where = f"bench aro: item {key} of {path}"
            made.add(
                f"{path.stem}:{key}",
                category,
                [Shot(text_of(where, entry, "image_path", "filename", "image"), _box(entry))],
                [text_of(where, entry, "true_caption"), text_of(where, entry, "false_caption")],
            )
    return made.benchmark("aro", "choice")


def _box(entry: Any) -> tuple[int, int, int, int] | None:
    if not isinstance(entry, Mapping) or not all(
        isinstance(entry.get(key), int | float) for key in BOX
    ):
        return None
    x, y, width, height = (int(entry[key]) for key in BOX)
    return x, y, x + width, y + height
