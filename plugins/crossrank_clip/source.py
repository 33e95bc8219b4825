"""Where a checkpoint lies: a folder of this machine, or the model hub and its cache."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossrank.errors import ParameterError, PluginError, StoreError
from crossrank_clip.parameters import ClipParameters

HUB_SECONDS = 5.0
"""How long the hub has to answer."""

CHECKPOINT_SUFFIXES = (".bin", ".json", ".model", ".safetensors", ".txt")
HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def local_folder(params: ClipParameters) -> Path | None:
    """Return the folder that `params.model` names, or None if it is a name on the hub.

    Raises
    ------
    StoreError
        If it can only be a path, but there is no such folder or no ``config.json`` in it.
    ParameterError
        If a folder is given together with a revision.
    """
    model = str(params.model)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if HUB_NAME.fullmatch(model) and not folder.exists():
            return None
        raise StoreError(f"clip: {model} is no folder; give the one that holds the checkpoint")
    if params.revision is not None:
        raise ParameterError(
            f"clip: {model} is a folder of this machine and has no revision "
            f"{params.revision!r}; leave one of them out"
        )
    if not (folder / "config.json").is_file():
        raise StoreError(
            f"clip: the folder {model} holds no config.json, so it is no transformers checkpoint; "
            "give the folder that `hf download … --local-dir` or save_pretrained() wrote"
        )
    return folder


def identity(params: ClipParameters) -> list[Any]:
    """Return what a checkpoint is recognised by: content for a folder, name and revision else."""
    folder = local_folder(params)
    if folder is None:
        return [str(params.model), params.revision]
    files = sorted(path for path in folder.iterdir() if path.suffix in CHECKPOINT_SUFFIXES)
    return [[path.name, _digest(path, *_stamp(path))] for path in files]


def ask_hub(params: ClipParameters) -> None:
    """Ask the hub once whether it has the model.

    transformers itself would ask for every file of a checkpoint, each several times with growing
    pauses, before it reports that there is no connection.

    Raises
    ------
    PluginError
        If the hub does not answer, or has no such model or revision for this user.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(str(params.model), revision=params.revision, timeout=HUB_SECONDS)
    except HfHubHTTPError as error:
        raise PluginError(
            f"clip: no folder is called {str(params.model)!r}, and the model hub refuses the "
            f"model of that name, revision {params.revision or 'main'}: {first_line(error)}; "
            "check name and revision, and for a private or gated one log in with `hf auth login`"
        ) from error
    except Exception as error:  # the hub's client changed its transport, and its errors, twice
        raise unreachable(
            params, f"the hub cannot be reached ({type(error).__name__}: {first_line(error)})"
        ) from error


def unreachable(params: ClipParameters, reason: str) -> PluginError:
    """Return the error that tells how to bring a model to a machine without a network."""
    model = str(params.model)
    folder = model.rsplit("/", maxsplit=1)[-1]
    pinned = "" if params.revision is None else f" --revision {params.revision}"
    return PluginError(
        f"clip: the model {model!r} is not complete in the cache of this machine, and {reason}. "
        f"Where there is a network, run `hf download {model}{pinned} --local-dir {folder}`, copy "
        f"the folder here and give model='/path/to/{folder}'"
    )


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    """Digest a file; size and time of change are there to notice that it is another one."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
