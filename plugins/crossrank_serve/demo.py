"""The gallery of ``--demo``: the photographs of ``crossrank demo``, and queries for them."""

from __future__ import annotations

from pathlib import Path

from crossrank_demo.pictures import locate, write_crops
from crossrank_demo.scenes import load_scenes


def write_demo(folder: Path) -> tuple[str, ...]:
    """Write the photographs' crops to a folder and return queries for them.

    Raises
    ------
    MissingPackageError
        If a package that brings photographs is not installed.
    """
    scenes = load_scenes()
    for photograph in scenes.photographs:
        locate(photograph)
    write_crops(scenes.photographs, folder)
    return tuple(query.text for query in scenes.queries)
