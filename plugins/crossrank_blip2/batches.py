"""Batches that fit: of texts alike in length, and smaller ones where the device runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import PluginError

logger = logging.getLogger(__name__)

Rows = NDArray[np.int64]
Result = TypeVar("Result")


def by_length(lengths: NDArray[np.int64], *others: NDArray[np.int64]) -> Rows:
    """Return the order from the shortest to the longest, so that batches have little padding.

    Parameters
    ----------
    lengths
        ``[P]`` tokens.
    *others
        What decides among equals, the first one first.
    """
    return np.lexsort((*others[::-1], lengths))


def slices(count: int, size: int) -> Iterator[Rows]:
    """Yield the numbers below `count`, at most `size` at a time."""
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


class Batches:
    """Runs rows through a model, some at once.

    Parameters
    ----------
    what
        What the rows are, as an error calls them.
    size
        The most rows at once.
    limits
        How many rows of each kind the device turned out to hold; written to when it runs out, so
        that one mapping for all batches of a model finds out once.
    """

    def __init__(self, what: str, size: int, limits: dict[str, int]) -> None:
        self._what = what
        self._most = size
        self._limits = limits

    @property
    def size(self) -> int:
        """How many rows go at once."""
        return min(self._most, self._limits.get(self._what, self._most))

    def run(
        self, rows: Rows | Sequence[int], work: Callable[[Rows], Result]
    ) -> Iterator[tuple[Rows, Result]]:
        """Yield consecutive rows with what `work` makes of them.

        Raises
        ------
        PluginError
            If the device has not enough memory for a single row.
        """
        left = np.asarray(rows, np.int64)
        while len(left):
            batch = left[: self.size]
            found = _unless_out_of_memory(work, batch)
            if found is None:
                self._halve(len(batch))
                continue
            left = left[len(batch) :]
            yield batch, found[0]

    def _halve(self, tried: int) -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if tried == 1:
            raise PluginError(
                f"blip2: the device has not enough memory for one of the {self._what}; give "
                "dtype='float16', another device, or a smaller model"
            )
        self._limits[self._what] = tried // 2
        logger.warning(
            "blip2: the device has not enough memory for %d %s at once; going on with %d",
            tried,
            self._what,
            self.size,
        )


def _unless_out_of_memory(work: Callable[[Rows], Result], batch: Rows) -> tuple[Result] | None:
    """Return None once the frames that held the memory are gone."""
    import torch

    try:
        return (work(batch),)
    except torch.cuda.OutOfMemoryError:
        return None
