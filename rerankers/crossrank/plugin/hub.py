"""A checkpoint from the model hub or a folder, with one clear error for all that can be wrong.

What the cache holds is used without asking the hub; the hub is asked for what it lacks::

    source = Checkpoint("mine", "owner/model", extra="mine")
    model = source.load(lambda where: AutoModel.from_pretrained(source.name, **where))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from crossrank.errors import (
    CrossrankError,
    MissingPackageError,
    ParameterError,
    PluginError,
    StoreError,
)
from crossrank.plugin.files import file_digest

HUB_SECONDS = 5.0
"""How long the hub has to answer."""

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
SUFFIXES = (".bin", ".json", ".model", ".safetensors", ".txt")
"""The files of a folder that decide what a checkpoint computes."""

Made = TypeVar("Made")


class IncompleteError(Exception):
    """Raised while a checkpoint is read: its files are missing or damaged, as the message says."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder of this machine, or a name on the model hub.

    Parameters
    ----------
    who
        The plugin, for messages.
    name
        The folder or the name.
    revision
        A commit, tag or branch on the hub.
    local_files_only
        Never ask the hub, even for what the cache lacks.
    parameter
        What the user gave it as: ``"model"``, ``"tokenizer"``.
    extra
        The extra of ``crossrank`` that brings what it is read with; that of `who` by default.
    files
        What a complete folder holds, for the message.
    requires
        A file without which a folder is no such checkpoint at all; empty for none.
    """

    who: str
    name: str
    revision: str | None = None
    local_files_only: bool = False
    parameter: str = "model"
    extra: str = ""
    files: str = "config.json, the weights, and the files of tokenizer and image processor"
    requires: str = ""

    def folder(self) -> Path | None:
        """Return the folder, or None for a name on the hub.

        Raises
        ------
        StoreError
            If it can only be a path, but there is no such folder, or it lacks what is required.
        ParameterError
            If a folder is given together with a revision.
        """
        folder = Path(self.name).expanduser()
        if not folder.is_dir():
            if HUB_NAME.fullmatch(self.name) and not folder.exists():
                return None
            raise StoreError(
                f"{self.who}: {self.name} is no folder; give the one that holds the checkpoint"
            )
        if self.revision is not None:
            raise ParameterError(
                f"{self.who}: {self.name} is a folder of this machine and has no revision "
                f"{self.revision!r}; leave one of them out"
            )
        if self.requires and not (folder / self.requires).is_file():
            raise StoreError(
                f"{self.who}: the folder {self.name} holds no {self.requires}, so it is no "
                "transformers checkpoint; give the folder that `hf download … --local-dir` or "
                "save_pretrained() wrote"
            )
        return folder

    def identity(self, *, content: bool = True) -> list[Any]:
        """Return what it is recognised by, for `crossrank.fingerprint`.

        Parameters
        ----------
        content
            Whether a folder's files are read whole; else their sizes and times of change do, for
            checkpoints of many gigabytes.

        Returns
        -------
        list
            Name and revision on the hub; for a folder an entry for each file that decides it.
        """
        folder = self.folder()
        if folder is None:
            return [self.name, self.revision]
        files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
        if content:
            return [[path.name, file_digest(self.who, path)] for path in files]
        return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]

    def load(self, read: Callable[[Mapping[str, Any]], Made]) -> Made:
        """Read from the folder or the cache, and only what is not there from the hub.

        Parameters
        ----------
        read
            Called with ``revision`` and ``local_files_only`` for ``from_pretrained``; once more
            where the cache did not have everything.  Whatever it raises but a `CrossrankError` or
            an ImportError counts as an `IncompleteError`.

        Raises
        ------
        MissingPackageError
            If a package is not installed.
        StoreError
            If a folder holds no complete checkpoint.
        PluginError
            If the cache does not hold it, and the hub cannot be reached or does not have it.
        """
        folder = self.folder()
        try:
            return self._guarded(read, local=True)
        except IncompleteError as error:
            if folder is not None:
                raise StoreError(
                    f"{self.who}: the folder {folder} holds no complete checkpoint: {error}; it "
                    f"needs {self.files}"
                ) from error
            if self.local_files_only:
                raise self._unreachable(f"local_files_only is set ({error})") from error
        self._ask_hub()
        try:
            return self._guarded(read, local=False)
        except IncompleteError as error:
            raise self._unreachable(f"loading it from the hub failed ({error})") from error

    def _guarded(self, read: Callable[[Mapping[str, Any]], Made], *, local: bool) -> Made:
        try:
            return read({"revision": self.revision, "local_files_only": local})
        except (CrossrankError, IncompleteError):
            raise
        except ImportError as error:  # the tokenizers of some families need packages of their own
            raise MissingPackageError(
                f"{self.who}: the {self.parameter} {self.name!r} needs another package: "
                f'{first_line(error)}; pip install "crossrank[{self.extra or self.who}]"'
            ) from error
        except Exception as error:  # every file format brings exceptions of its own
            raise IncompleteError(first_line(error)) from error

    def _ask_hub(self) -> None:
        """Ask the hub once whether it has the model.

        transformers itself would ask for every file of a checkpoint, each several times with
        growing pauses, before it reports that there is no connection.
        """
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError

        try:
            HfApi().model_info(self.name, revision=self.revision, timeout=HUB_SECONDS)
        except HfHubHTTPError as error:
            raise PluginError(
                f"{self.who}: no folder is called {self.name!r}, and the model hub refuses what "
                f"has that name, revision {self.revision or 'main'}: {first_line(error)}; check "
                "name and revision, and for a private or gated one log in with `hf auth login`"
            ) from error
        except Exception as error:  # the hub's client changed its transport, and its errors, twice
            raise self._unreachable(
                f"the hub cannot be reached ({type(error).__name__}: {first_line(error)})"
            ) from error

    def _unreachable(self, reason: str) -> PluginError:
        """Return the error that tells how to bring a model to a machine without a network."""
        folder = self.name.rsplit("/", maxsplit=1)[-1]
        pinned = "" if self.revision is None else f" --revision {self.revision}"
        return PluginError(
            f"{self.who}: the {self.parameter} {self.name!r} is not complete in the cache of this "
            f"machine, and {reason}. Where there is a network, run "
            f"`hf download {self.name}{pinned} --local-dir {folder}`, "
            f"copy the folder here and give {self.parameter}='/path/to/{folder}'"
        )


def check_weights(report: Mapping[str, Any], unused: Collection[str] = ()) -> None:
    """Refuse a model of transformers whose weights did not all come from the checkpoint.

    Parameters
    ----------
    report
        What ``from_pretrained(…, output_loading_info=True)`` returns besides the model.
    unused
        Names of weights that the plugin has no use for.

    Raises
    ------
    IncompleteError
        Naming a weight of another shape, or one that is missing.
    """
    for entry in report["mismatched_keys"]:  # names, or names with both shapes
        name, *shapes = (entry,) if isinstance(entry, str) else entry
        sizes = " and ".join(str(list(shape)) for shape in shapes)
        raise IncompleteError(
            f"{name} has another shape than config.json says{sizes and f' ({sizes})'}; correct the "
            "sizes there, such as vision_config.image_size"
        )
    lacking = sorted(set(report["missing_keys"]) - set(unused))
    if lacking:
        raise IncompleteError(f"it lacks {len(lacking)} weights, among them {lacking[0]}")


def check_vocabulary(tokenizer: Any) -> None:
    """Refuse a tokenizer without words: transformers 5 makes one up where the files are missing.

    Raises
    ------
    IncompleteError
        If it has special tokens alone.
    """
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise IncompleteError("the vocabulary of the tokenizer is missing")


def first_line(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


__all__ = [
    "Checkpoint",
    "IncompleteError",
    "check_vocabulary",
    "check_weights",
    "first_line",
]
