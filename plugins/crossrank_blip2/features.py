"""The vision output of images on disk: one memory-mapped file each, within a budget.

At full size an image takes 677 × 1408 numbers, 1.9 MB in half precision.  A file appears under its
name when it is complete, so that whatever was computed before a run was killed is there for the
next one.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from crossrank.plugin.files import cached_files, disk_errors, evict, remove_stale
from crossrank.plugin.torch_weights import write_tensors

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

NAME = "image_embeds"
SUFFIX = ".safetensors"

OURS = re.compile(r"[^.].*\.safetensors")
UNFINISHED = re.compile(r"\..*\.safetensors\..*")

HEADER = 128
"""More bytes than a file has besides the numbers."""


@dataclass(slots=True)
class FeatureStore:
    """The features of one model's images.

    Parameters
    ----------
    root
        The folder that the budget is for; the features of other models lie in it too.
    model
        A digest of what decides the features; the name of a folder within `root`.
    budget
        The most bytes that files in `root` may take.
    wanted
        The keys that the present run needs: these are never removed to make room.
    """

    root: Path
    model: str
    budget: int
    wanted: frozenset[str] = frozenset()
    _taken: int | None = field(default=None, init=False, repr=False)
    _full: bool = field(default=False, init=False, repr=False)

    def get(self, key: str) -> Tensor | None:
        """Return the features of an image, read when they are used; None if they are not there.

        Parameters
        ----------
        key
            A digest of the image's content.
        """
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                features: Tensor = file.get_tensor(NAME)
            with suppress(OSError):
                os.utime(path)  # used just now
        except (OSError, SafetensorError):  # never written, removed, or damaged
            return None
        return features

    def put(self, key: str, features: Tensor) -> bool:
        """Keep the features of an image; tell whether the budget has room for them."""
        path = self._path(key)
        size = features.numel() * features.element_size() + HEADER
        if not self._make_room(size):
            return False
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, {NAME: features})
        return True

    def _path(self, key: str) -> Path:
        return self.root / self.model / f"{key}{SUFFIX}"

    def _make_room(self, size: int) -> bool:
        """Remove what is not wanted now, the longest unused first, until `size` bytes fit."""
        if self._full:
            return False
        if self._taken is None or self._taken + size > self.budget:
            remove_stale(cached_files(self.root, UNFINISHED))
            with suppress(OSError):  # what others keep there leaves less room
                self._taken = evict(
                    cached_files(self.root, OURS), self.budget - size, keep=self._is_wanted
                )
        if self._taken is None or self._taken + size > self.budget:
            self._full = True
            logger.warning(
                "blip2: the features of %d images do not fit into %d bytes; those left out are "
                "computed again whenever they are needed, so give a larger cache_budget",
                len(self.wanted),
                self.budget,
            )
            return False
        self._taken += size
        return True

    def _is_wanted(self, path: Path) -> bool:
        return path.parent.name == self.model and path.stem in self.wanted
