"""Loading a checkpoint, with one clear error for everything that can be wrong with it.

What the cache holds is used without asking the hub; the hub is asked for what it lacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from crossrank.errors import (
    CrossrankError,
    InputError,
    MissingPackageError,
    ParameterError,
    PluginError,
    StoreError,
    missing_package,
)

HUB_SECONDS = 5.0
"""How long the hub has to answer."""

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
CHECKPOINT_SUFFIXES = (".bin", ".json", ".model", ".safetensors", ".txt")

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Source:
    """Where files of a checkpoint are: a folder of this machine, or a name on the model hub.

    Parameters
    ----------
    name
        The folder or the name.
    revision
        A commit, tag or branch on the hub.
    local_files_only
        Never ask the hub.
    parameter
        What the user gave it as, for errors: ``"model"`` or ``"tokenizer"``.
    """

    name: str
    revision: str | None = None
    local_files_only: bool = False
    parameter: str = "model"

    def folder(self) -> Path | None:
        """Return the folder, or None for a name on the hub.

        Raises
        ------
        StoreError
            If it can only be a path, but there is no such folder.
        ParameterError
            If a folder is given together with a revision.
        """
        folder = Path(self.name).expanduser()
        if not folder.is_dir():
            if HUB_NAME.fullmatch(self.name) and not folder.exists():
                return None
            raise StoreError(
                f"blip2: {self.name} is no folder; give the one that holds the checkpoint"
            )
        if self.revision is not None:
            raise ParameterError(
                f"blip2: {self.name} is a folder of this machine and has no revision "
                f"{self.revision!r}; leave one of them out"
            )
        return folder

    def identity(self) -> list[Any]:
        """Return what it is recognised by: size and time of a folder's files, or name and revision.

        The weights themselves are digested when they are loaded.
        """
        folder = self.folder()
        if folder is None:
            return [self.name, self.revision]
        files = sorted(path for path in folder.iterdir() if path.suffix in CHECKPOINT_SUFFIXES)
        return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]


class _IncompleteError(Exception):
    """The files of a checkpoint are missing or damaged."""


def load_checkpoint(source: Source, device: str, dtype: str) -> Any:
    """Load a ``Blip2ForImageTextRetrieval`` from a folder, the cache or the hub.

    Raises
    ------
    MissingPackageError
        If torch or transformers is not installed.
    ParameterError
        If it is another kind of model, or the device cannot be used.
    StoreError
        If a folder holds no complete checkpoint.
    PluginError
        If the cache does not hold the model, and the hub cannot be reached or does not have it.
    """
    _check_device(device)
    made = _found(source, lambda local: _model(source, dtype, local))
    return made.to(device)


def load_tokenizer(tokenizer: Any, local_files_only: bool = False) -> Any:
    """Return a tokenizer, which may be given as one, as a `Source`, a folder or a name."""
    if isinstance(tokenizer, str | Path):
        tokenizer = Source(str(tokenizer), None, local_files_only, "tokenizer")
    if not isinstance(tokenizer, Source):
        if not callable(tokenizer):
            raise InputError(
                f"blip2: the tokenizer is a {type(tokenizer).__name__}; give one of transformers, "
                "its folder or its name"
            )
        return tokenizer
    source = tokenizer
    return _found(source, lambda local: _tokenizer(source, local))


def _found(source: Source, read: Callable[[bool], Made]) -> Made:
    """Read from the folder or the cache, and only what is not there from the hub."""
    folder = source.folder()
    try:
        return _guarded(source, lambda: read(True))
    except _IncompleteError as error:
        if folder is not None:
            raise StoreError(
                f"blip2: the folder {folder} holds no complete checkpoint: {error}; it needs "
                "config.json, the weights, and the tokenizer (or give tokenizer=)"
            ) from error
        if source.local_files_only:
            raise _unreachable(source, f"local_files_only is set ({error})") from error
    _ask_hub(source)
    try:
        return _guarded(source, lambda: read(False))
    except _IncompleteError as error:
        raise _unreachable(source, f"loading it from the hub failed ({error})") from error


def _guarded(source: Source, read: Callable[[], Made]) -> Made:
    try:
        return read()
    except (CrossrankError, _IncompleteError):
        raise
    except ImportError as error:
        raise MissingPackageError(
            f"blip2: the model {source.name!r} needs another package: {first_line(error)}; "
            'pip install "crossrank[blip2]"'
        ) from error
    except Exception as error:  # every file format brings exceptions of its own
        raise _IncompleteError(first_line(error)) from error


def _model(source: Source, dtype: str, local: bool) -> Any:
    torch, transformers = _package("torch"), _package("transformers")
    where = {"revision": source.revision, "local_files_only": local}
    config, _ = transformers.PretrainedConfig.get_config_dict(source.name, **where)
    if config.get("model_type") != "blip-2":
        raise ParameterError(
            f"blip2: {source.name} is a model of type {config.get('model_type')!r}, not a BLIP-2; "
            "give one such as Salesforce/blip2-itm-vit-g"
        )
    model, report = transformers.Blip2ForImageTextRetrieval.from_pretrained(
        source.name,
        dtype=getattr(torch, dtype),
        output_loading_info=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # they are refused below, with a message that says which
        **where,
    )
    for entry in report["mismatched_keys"]:  # names, or names with both shapes
        name, *shapes = (entry,) if isinstance(entry, str) else entry
        sizes = " and ".join(str(list(shape)) for shape in shapes)
        raise _IncompleteError(
            f"{name} has another shape than config.json says{sizes and f' ({sizes})'}; correct the "
            "sizes there, such as vision_config.image_size"
        )
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise _IncompleteError(
            f"it lacks {len(lacking)} weights of image-text retrieval, among them {lacking[0]}"
        )
    return model


def _tokenizer(source: Source, local: bool) -> Any:
    transformers = _package("transformers")
    where = {"revision": source.revision, "local_files_only": local}
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        source.name, trust_remote_code=False, **where
    )
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers 5 makes up a tokenizer without words where the files are missing
        raise _IncompleteError("the vocabulary of the tokenizer is missing")
    return tokenizer


def _ask_hub(source: Source) -> None:
    """Ask the hub once whether it has the model.

    transformers itself would ask for every file of a checkpoint, each several times with growing
    pauses, before it reports that there is no connection.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(source.name, revision=source.revision, timeout=HUB_SECONDS)
    except HfHubHTTPError as error:
        raise PluginError(
            f"blip2: no folder is called {source.name!r}, and the model hub refuses what has "
            f"that name, revision {source.revision or 'main'}: {first_line(error)}; check name and "
            "revision, and for a private or gated one log in with `hf auth login`"
        ) from error
    except Exception as error:  # the hub's client changed its transport, and its errors, twice
        raise _unreachable(
            source, f"the hub cannot be reached ({type(error).__name__}: {first_line(error)})"
        ) from error


def _unreachable(source: Source, reason: str) -> PluginError:
    """Return the error that tells how to bring a model to a machine without a network."""
    folder = source.name.rsplit("/", maxsplit=1)[-1]
    pinned = "" if source.revision is None else f" --revision {source.revision}"
    return PluginError(
        f"blip2: the {source.parameter} {source.name!r} is not complete in the cache of this "
        f"machine, and {reason}. Where there is a network, run "
        f"`hf download {source.name}{pinned} --local-dir {folder}`, "
        f"copy the folder here and give {source.parameter}='/path/to/{folder}'"
    )


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_package(name, "blip2", "the reranker 'blip2'") from error


def _check_device(device: str) -> None:
    torch = _package("torch")
    try:
        torch.empty(0, device=device)
    except Exception as error:  # RuntimeError, AssertionError or NotImplementedError, by backend
        raise ParameterError(
            f"blip2: torch cannot use the device {device!r} here: {first_line(error)}; "
            "give device='cpu'"
        ) from error


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
