"""What a model is recognised by, without loading it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossrank.errors import StoreError
from crossrank_openclip.parameters import OpenClipParameters

READ = (".bin", ".json", ".model", ".pt", ".pth", ".safetensors", ".txt")


def identity(params: OpenClipParameters) -> list[Any]:
    """Return name and tag, or the content of the file or folder that stands for them.

    Raises
    ------
    StoreError
        If there is no such folder.
    """
    folder = params.folder
    if folder is not None:
        if not folder.is_dir():
            raise StoreError(f"openclip: {folder} is no folder; give the one of a checkpoint")
        files = sorted(path for path in folder.iterdir() if path.suffix in READ)
        return [[path.name, _digest(path, *_stamp(path))] for path in files]
    file = Path(str(params.pretrained)).expanduser()
    if params.pretrained is not None and file.is_file():
        return [params.model, _digest(file, *_stamp(file))]
    return [params.model, params.pretrained]


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    """Digest a file; size and time of change are there to notice that it is another one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
