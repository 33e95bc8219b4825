"""What a model is recognised by, without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossrank.errors import StoreError
from crossrank.plugin.files import file_digest
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
        return [[path.name, file_digest("openclip", path)] for path in files]
    file = Path(str(params.pretrained)).expanduser()
    if params.pretrained is not None and file.is_file():
        return [params.model, file_digest("openclip", file)]
    return [params.model, params.pretrained]
