"""SugarCrepe: a picture, its caption, and one that differs in an object, attribute or relation."""

from __future__ import annotations

from pathlib import Path

from crossrank_bench.benchmark import Benchmark, Collecting
from crossrank_bench.pictures import Shot
from crossrank_bench.readers.files import entries, find_files, text_of


def read(data: Path) -> Benchmark:
    """Read one file per category; keys of items may have gaps.

    Hsieh et al., "SugarCrepe", NeurIPS 2023 (Datasets and Benchmarks).
    """
    files = find_files("sugarcrepe", data, ("[ars]*_[aor]??.json",), ("data", "sugarcrepe"))
    made = Collecting()
    for path in files:
        for key, entry in entries("sugarcrepe", path):
            where = f"bench sugarcrepe: item {key} of {path}"
            made.add(
                f"{path.stem}:{key}",
                path.stem,
                [Shot(text_of(where, entry, "filename", "image"))],
                [text_of(where, entry, "caption"), text_of(where, entry, "negative_caption")],
            )
    return made.benchmark("sugarcrepe", "choice")
