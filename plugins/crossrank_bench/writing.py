"""What a run leaves behind: a page, its figures as JSON, and every case with its scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossrank.cli.kit import plain
from crossrank.errors import StoreError
from crossrank.plugin.files import atomic_bytes, disk_errors, json_line
from crossrank.report import check_jinja
from crossrank_bench.page import page_of
from crossrank_bench.result import BenchResult

FILES = ("index.html", "result.json", "cases.jsonl")


def check_folder(folder: Path, *, force: bool) -> Path:
    """Make the folder, and refuse one that holds a result already."""
    check_jinja("graphs", "a benchmark's page")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        raise StoreError(
            f"{folder / there[0]} exists already; choose another folder, or --force to overwrite it"
        )
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_result(result: BenchResult, folder: Path) -> None:
    """Write the page, the figures and the cases."""
    page, figures, cases = (folder / name for name in FILES)
    atomic_bytes(cases, "".join(json_line(plain(each)) for each in case_lines(result)).encode())
    atomic_bytes(figures, json_line(plain(result.to_dict())).encode())
    atomic_bytes(page, page_of(result).encode())


def case_lines(result: BenchResult) -> Iterator[dict[str, Any]]:
    """Yield a record per case: what was compared, each system's scores, and what it got right."""
    benchmark = result.benchmark
    for place, case in enumerate(benchmark.cases):
        yield {
            "id": case.id,
            "category": case.category,
            "images": [benchmark.shots[image].name for image in case.images],
            "texts": [benchmark.texts[text] for text in case.texts],
            "scores": {
                system: matrices[place].tolist() for system, matrices in result.scores.items()
            },
            "right": {
                system: dict(outcomes[place].values) for system, outcomes in result.outcomes.items()
            },
            "tied": {system: outcomes[place].tied for system, outcomes in result.outcomes.items()},
        }
