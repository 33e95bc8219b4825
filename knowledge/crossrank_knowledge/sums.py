"""Running sums per word, the whole state of a streaming build."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError
from crossrank_knowledge.tensors import map_tensors, write_tensors

BLOCK_WORDS = 1024


class RunningSums:
    """Sums, squared norms and counts per word in float64, in the order of first appearance.

    The sums lie in blocks of 1,024 words, so that growing never copies them.  A region is added
    by itself and in order, so that the bits do not depend on where a build was interrupted.
    """

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.size = 0
        self.items = 0
        self.regions = 0
        self.skipped = 0
        self.digest = 0
        self._blocks: list[NDArray[np.float64]] = []
        self._counts: list[int] = []
        self._squares: list[float] = []
        self._total = np.zeros(0)

    def witness(self, label: str, feature: ArrayLike) -> None:
        """Take an item into the digest by which a resumed build knows its stream."""
        self.digest = zlib.crc32(np.ascontiguousarray(feature).data, self.digest)
        self.digest = zlib.crc32(str(label).encode(), self.digest)
        self.items += 1

    def add(self, words: list[str], feature: NDArray[np.float64]) -> None:
        """Add one region's feature ``[D]`` to each of its words."""
        if self.regions == 0:
            self.size = len(feature)
            self._total = np.zeros(self.size)
        if feature.shape != (self.size,):
            raise InputError(
                f"the feature has shape {feature.shape}, those before it {(self.size,)}; "
                "use one encoder for all regions"
            )
        self.regions += 1
        self._total += feature
        square = float(feature @ feature)
        for word in words:
            row = self.rows.setdefault(word, len(self.rows))
            if row == len(self._counts):
                self._append()
            self._blocks[row // BLOCK_WORDS][row % BLOCK_WORDS] += feature
            self._counts[row] += 1
            self._squares[row] += square

    def _append(self) -> None:
        if len(self._counts) == len(self._blocks) * BLOCK_WORDS:
            self._blocks.append(np.zeros((BLOCK_WORDS, self.size)))
        self._counts.append(0)
        self._squares.append(0.0)

    @property
    def counts(self) -> NDArray[np.int64]:
        """``[V]`` how many regions carry each word."""
        return np.array(self._counts, np.int64)

    def prototypes(self) -> NDArray[np.float32]:
        """Return ``[V, D]`` the means, of float64 sums, as float32."""
        means = np.empty((len(self._counts), self.size), np.float32)
        counts = self.counts
        for start, block in zip(range(0, len(means), BLOCK_WORDS), self._blocks, strict=True):
            part = slice(start, min(start + BLOCK_WORDS, len(means)))
            means[part] = block[: part.stop - start] / counts[part, None]
        return means

    def spread(self) -> NDArray[np.float32]:
        """Return ``[V]`` the root mean squared distance from the mean: √(E‖x‖² − ‖E x‖²)."""
        spread = np.empty(len(self._counts), np.float32)
        counts = self.counts
        squares = np.array(self._squares) / np.maximum(counts, 1)
        for start, block in zip(range(0, len(spread), BLOCK_WORDS), self._blocks, strict=True):
            part = slice(start, min(start + BLOCK_WORDS, len(spread)))
            means = block[: part.stop - start] / counts[part, None]
            variance = squares[part] - np.einsum("vd,vd->v", means, means)
            spread[part] = np.sqrt(np.maximum(variance, 0.0))
        return spread

    def mean(self) -> NDArray[np.float64]:
        """Return ``[D]`` the mean of all regions."""
        return self._total / max(self.regions, 1)

    def save(self, path: Path, recipe: str) -> None:
        """Write the state to a file that replaces `path` when it is complete."""
        arrays: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {
            f"block{number}": block for number, block in enumerate(self._blocks)
        }
        arrays |= {
            "counts": self.counts,
            "squares": np.array(self._squares),
            "total": self._total,
            "state": np.array([self.items, self.regions, self.skipped, self.digest]),
        }
        words = json.dumps(list(self.rows), ensure_ascii=False)
        write_tensors(path, arrays, {"words": words, "recipe": recipe})

    @classmethod
    def load(cls, path: Path) -> tuple[RunningSums, str]:
        """Return the state that `save` wrote, and its recipe."""
        arrays, strings = map_tensors(path)
        sums = cls()
        sums.rows = {word: row for row, word in enumerate(json.loads(strings["words"]))}
        blocks = sum(name.startswith("block") for name in arrays)
        sums._blocks = [np.array(arrays[f"block{number}"]) for number in range(blocks)]
        sums._counts = arrays["counts"].tolist()
        sums._squares = arrays["squares"].tolist()
        sums._total = np.array(arrays["total"])
        sums.size = len(sums._total)
        sums.items, sums.regions, sums.skipped, sums.digest = arrays["state"].tolist()
        return sums, strings["recipe"]
