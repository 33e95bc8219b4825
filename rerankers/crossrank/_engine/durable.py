"""Durable runs: finished blocks are on disk, so that a run goes on where it was stopped.

=========================== =====================================================================
``run.json``                what is run, by fingerprints: another run is refused
``lock``                    held by the process that works in the folder
``blocks/0-filip/``         raw scores of a stage, a file per block, each with its own digest
``rankings.safetensors``    the result, once it is complete
=========================== =====================================================================

A block that is missing, corrupt, or was scored for other pairs counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from crossrank._files.atomic import atomic_bytes, disk_errors, refuse_link, remove_partial
from crossrank._files.parsing import parse_json
from crossrank._files.system import is_of_system
from crossrank.errors import StoreError
from crossrank.plugin.contract import Scores

try:
    import fcntl
except ImportError:  # without it, two processes may do the same work; both write the same
    fcntl = None  # type: ignore[assignment]

FORMAT, VERSION = "crossrank run", 1
MANIFEST, RESULT = "run.json", "rankings.safetensors"
FILES = (MANIFEST, RESULT)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DurableRun:
    """A folder in which a run keeps what it has finished."""

    folder: Path

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, description: Mapping[str, Any], resume: bool
    ) -> Iterator[DurableRun]:
        """Hold a run's folder, a new one or one of the same run.

        Parameters
        ----------
        folder
            Made if it is not there.
        description
            What is run, in JSON; compared with what the folder says.
        resume
            Whether a folder of the same run may be gone on with.

        Raises
        ------
        StoreError
            If the folder holds something else, another run, or is held by another process.
        """
        made = not folder.exists()
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            foreign = [each for each in folder.iterdir() if not _ours(each.name)]
        manifest = folder / MANIFEST
        if foreign and not manifest.is_file():
            raise StoreError(f"{folder} holds something else already; choose another folder")
        with _held(folder):
            with disk_errors(folder):
                remove_partial(folder, *FILES)
            fresh = not manifest.is_file()
            wanted = {"format": FORMAT, "version": VERSION, **description}
            if fresh:
                atomic_bytes(manifest, (json.dumps(wanted, indent=1) + "\n").encode())
            elif not resume:
                raise StoreError(
                    f"{folder} holds a run already; resume it or choose another folder"
                )
            else:
                _check_same(manifest, wanted)
            run = cls(folder)
            try:
                yield run
            except BaseException:
                if fresh and not run.has_finished_something():
                    run.forget()
                    if made:
                        with suppress(OSError):  # somebody else may have put something there
                            folder.rmdir()
                raise

    def has_finished_something(self) -> bool:
        """Return whether there is anything to go on from."""
        finished = (self.folder / "blocks").glob("*/*.safetensors")
        return (self.folder / RESULT).is_file() or any(finished)

    def forget(self) -> None:
        """Take the run away again: what failed before its first block leaves nothing behind."""
        self.forget_blocks()
        for name in (MANIFEST, "lock"):
            (self.folder / name).unlink(missing_ok=True)

    def blocks(self, number: int, stage: str) -> StageBlocks:
        """Return where a stage keeps its blocks."""
        name = "".join(char if char.isalnum() or char in "-_" else "_" for char in stage)
        folder = self.folder / "blocks" / f"{number}-{name}"
        with disk_errors(folder):
            refuse_link(folder.parent)
            folder.mkdir(parents=True, exist_ok=True)
            for each in (folder.parent, folder):
                refuse_link(each)
            remove_partial(folder)
        return StageBlocks(folder)

    def has_failures(self) -> bool:
        """Return whether a scorer failed on blocks whose queries then kept their order."""
        return any((self.folder / "blocks").glob("*/*.failed"))

    def forget_blocks(self) -> None:
        """Remove the blocks, once the result is there."""
        # rmtree itself refuses a link
        shutil.rmtree(self.folder / "blocks", ignore_errors=True)


@dataclass(frozen=True, slots=True)
class StageBlocks:
    """The finished blocks of one stage."""

    folder: Path

    def load(self, rows: range, pairs: str, mask: NDArray[np.bool_]) -> Scores | None:
        """Return the scores of a block, None if it has to be scored.

        Parameters
        ----------
        rows
            Which lists, by their places in the stage's order.
        pairs
            The digest of what is scored.
        mask
            Which places of the block are taken: their scores must be finite.
        """
        path = self._path(rows)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                about = file.metadata() or {}
                values, abstained = file.get_tensor("values"), file.get_tensor("abstained")
        except (SafetensorError, OSError, ValueError) as error:
            logger.warning("%s cannot be read (%s); the block is scored again", path, error)
            return None
        scores = Scores(values, abstained.astype(np.bool_), about.get("reason", ""))
        if values.shape != mask.shape or values.shape != abstained.shape:
            logger.warning("%s is of other lists; the block is scored again", path)
            return None
        if not np.isfinite(values[mask & ~abstained.astype(np.bool_)]).all():
            logger.warning("%s holds what no scorer returns; the block is scored again", path)
            return None
        if about.get("digest") != _digest(scores, about.get("pairs", "")):
            logger.warning("%s is corrupt; the block is scored again", path)
            return None
        return scores if about["pairs"] == pairs else None

    def save(self, rows: range, pairs: str, scores: Scores) -> None:
        """Write the scores of a block."""
        abstained = scores.abstained
        if abstained is None:
            abstained = np.zeros(scores.values.shape, np.bool_)
        kept = Scores(np.ascontiguousarray(scores.values), abstained, scores.reason)
        tensors: dict[str, NDArray[Any]] = {
            "values": kept.values,
            "abstained": abstained.astype(np.uint8),
        }
        about = {"reason": kept.reason, "pairs": pairs, "digest": _digest(kept, pairs)}
        atomic_bytes(self._path(rows), save(tensors, about), tidy=False)
        self._path(rows).with_suffix(".failed").unlink(missing_ok=True)

    def failed(self, rows: range, error: str) -> None:
        """Note that a block has no scores, so that the result is not taken for a whole one."""
        atomic_bytes(self._path(rows).with_suffix(".failed"), error.encode())

    def _path(self, rows: range) -> Path:
        return self.folder / f"{rows.start:09d}-{rows.stop:09d}.safetensors"


def _digest(scores: Scores, pairs: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([scores.values.shape, scores.reason, pairs]).encode())
    digest.update(np.ascontiguousarray(scores.values).data)
    digest.update(np.ascontiguousarray(scores.abstained, np.uint8).data)
    return digest.hexdigest()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes out; the lock goes with the process, however it ends."""
    with disk_errors(folder):
        path = folder / "lock"
        refuse_link(path)
        # what becomes a link after that look is not followed either
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        lock = os.fdopen(os.open(path, flags, 0o666), "ab+", buffering=0)
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.seek(0)
                holder = lock.read().decode("ascii", "replace").strip() or "unknown"
                raise StoreError(
                    f"{folder} is in use by process {holder}; wait for it, or choose another folder"
                ) from error
        with disk_errors(folder):
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
        yield


def _ours(name: str) -> bool:
    """Return whether a file is no other's: of a run that was stopped early, or of the system."""
    return name == "lock" or is_of_system(name)


def _check_same(manifest: Path, wanted: Mapping[str, Any]) -> None:
    try:
        written = parse_json(manifest.read_bytes())
    except ValueError as error:
        raise StoreError(f"{manifest} cannot be read: {error}; start in a new folder") from error
    if not isinstance(written, dict) or written.get("format") != FORMAT:
        raise StoreError(f"{manifest} is not the manifest of a crossrank run")
    other = [key for key in {**wanted, **written} if written.get(key) != wanted.get(key)]
    if other:
        raise StoreError(
            f"{manifest.parent} holds another run: {', '.join(other)} differ; choose another folder"
        )
