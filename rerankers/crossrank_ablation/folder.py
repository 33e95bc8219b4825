"""The folder of a study: what is written before the work, so that it can be resumed."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crossrank._files.atomic import atomic_file, disk_errors, refuse_existing
from crossrank.errors import StoreError
from crossrank.plugin.files import read_json
from crossrank_ablation.cache import ScoreCache
from crossrank_ablation.config import read_study
from crossrank_ablation.json_file import write_json
from crossrank_ablation.plan import Study

STUDY, CONFIG = "study.json", "config.toml"
CONTENT = {"format": "crossrank study", "version": 1}
PARTIAL = re.compile(r"\.[\w.-]+\.(?:json|txt|md|csv|tex|html|toml|svg|trec)\.[0-9a-f]{12}")


def open_folder(
    folder: Path, plan: Study, cache: ScoreCache | None, runs: bool, resuming: bool
) -> Path:
    """Make the folder of a new study, or tidy that of one that is resumed."""
    if not resuming:
        try:
            refuse_existing(folder)
        except StoreError as error:
            if (folder / STUDY).is_file():
                raise StoreError(
                    f"{folder} holds a study already; go on with it (--resume {folder}), or choose "
                    "another folder"
                ) from None
            raise error
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if plan.text is not None:
            with atomic_file(folder / CONFIG) as file:
                file.write(plan.text)
        write_json(
            folder / STUDY,
            {
                **CONTENT,
                "root": str(plan.root),
                "config": None if plan.text is None else CONFIG,
                "runs": runs,
                "cache": False if cache is None else str(cache.folder.absolute()),
                "crossrank": version("crossrank"),
            },
        )
    for own in (folder, folder / "plots", folder / "runs"):
        for path in own.glob(".*"):  # left by a process that was killed
            if PARTIAL.fullmatch(path.name):
                path.unlink(missing_ok=True)
    return folder


def resumed(folder: Path) -> tuple[Study, dict[str, Any]]:
    """Return the study of a folder, and how it was started; refuse one that cannot be resumed."""
    path = folder / STUDY
    try:
        record = read_json(path)
    except OSError:
        raise StoreError(
            f"{folder} holds no study ({STUDY} is not there); start one with "
            f"'crossrank ablate CONFIG -o {folder}'"
        ) from None
    except ValueError as error:
        raise StoreError(f"{path} cannot be read: {error}; start the study again") from error
    if not isinstance(record, dict) or any(record.get(k) != v for k, v in CONTENT.items()):
        raise StoreError(f"{path} is not what this crossrank writes; start the study again")
    if record.get("config") is None:
        raise StoreError(
            f"{folder} was started from Python with objects; run the same call again, with another "
            "output folder: its scores are in the cache"
        )
    return read_study(folder / CONFIG, record["root"]), record
