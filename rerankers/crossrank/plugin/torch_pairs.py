"""Pairs of ragged items on a device of torch: moved there once, padded, scored in chunks.

What is done with a chunk of pairs is the caller's; `crossrank_filip.device_kernel` is an example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrank._items.ragged import Ragged
from crossrank.errors import BudgetError
from crossrank.plugin.torch_device import SHARE_OF_FREE, exact_products, fits, free_bytes, in_chunks

Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Padded:
    """Some items made equally long: a short one repeats its last row, so no value is made up.

    Parameters
    ----------
    rows
        ``[n, L, ...]`` float32.
    lengths
        ``[n]`` how many rows of each item are its own.
    """

    rows: Tensor
    lengths: Tensor

    @property
    def own(self) -> Tensor:
        """``[n, L]`` bool, False for repeated rows."""
        places = torch.arange(self.rows.shape[1], device=self.rows.device)
        return places < self.lengths[:, None]

    def mean(self, values: Tensor) -> Tensor:
        """Return ``[n]``: the mean of values ``[n, L]`` over each item's own rows."""
        return values.masked_fill(~self.own, 0).sum(dim=1) / self.lengths


Work: TypeAlias = Callable[[Padded, Padded], Tensor]


class Items:
    """Ragged items that lie on a device, in float16 if that is what they are, else in float32.

    Parameters
    ----------
    items
        Rows of any float type.
    device
        Where they should lie.
    """

    def __init__(self, items: Ragged, device: str) -> None:
        self.flat = moved(items.flat, device)
        self.offsets = torch.tensor(items.offsets[:-1], device=device)
        self.lengths = torch.tensor(items.lengths, device=device)

    @property
    def row_bytes(self) -> int:
        """What a row takes in `padded`."""
        widened = 4 if self.flat.dtype == torch.float16 else 0
        return prod(self.flat.shape[1:]) * (self.flat.element_size() + widened)

    def padded(self, chosen: Tensor, length: int) -> Padded:
        """Return some items, none of them empty, the longest of `length` rows."""
        lengths = self.lengths[chosen]
        places = torch.arange(length, device=self.flat.device)
        rows = torch.minimum(places, lengths[:, None] - 1) + self.offsets[chosen][:, None]
        taken = self.flat.index_select(0, rows.flatten()).float()
        return Padded(taken.view(*rows.shape, *self.flat.shape[1:]), lengths)


def moved(array: Any, device: str) -> Tensor:
    """Return an array on a device, in float16 if that is what it is, else in float32."""
    numbers = np.asarray(array)
    if numbers.dtype != np.float16:
        numbers = numbers.astype(np.float32, copy=False)
    return torch.tensor(numbers, device=device)


@torch.inference_mode()
def score_pairs(
    who: str,
    device: str,
    queries: Ragged,
    candidates: Ragged,
    of_queries: Integers,
    of_candidates: Integers,
    work: Work,
    *,
    outputs: int = 1,
    entry_bytes: int = 4,
) -> NDArray[np.float32]:
    """Score pairs on a device; the scores are read back once, when all are there.

    Parameters
    ----------
    who, device
        The reranker, for messages, and what `crossrank.plugin.torch_device.device_of` returned.
    queries, candidates
        The items of both sides, ``[L, ...]`` each.  The queries move to the device whole, the
        candidates too if they fit a quarter of its free memory, else part by part.
    of_queries, of_candidates
        ``[P]`` the items of each pair; every one has a row.
    work
        Makes ``[n]`` scores, or ``[outputs, n]``, of the two sides of n pairs.  It is called with
        pairs of similar length, so that little is padded, and must not wait for the device.
    outputs
        How many scores a pair has.
    entry_bytes
        What `work` needs for each product of a query's row with a candidate's.

    Returns
    -------
    ndarray
        ``[outputs, P]`` float32.

    Raises
    ------
    BudgetError
        If the device has not enough memory for the queries, for a part of the candidates or for a
        single pair.
    """
    with exact_products():
        scores = scores_on_device(
            who, device, queries, candidates, of_queries, of_candidates, work, outputs, entry_bytes
        )
        numbers: NDArray[np.float32] = scores.cpu().numpy()
    return numbers


def scores_on_device(
    who: str,
    device: str,
    queries: Ragged,
    candidates: Ragged,
    of_queries: Integers,
    of_candidates: Integers,
    work: Work,
    outputs: int,
    entry_bytes: int,
) -> Tensor:
    """Return what `score_pairs` does, before it is read back: nothing here waits for the device."""
    scores = torch.zeros((outputs, len(of_queries)), device=device)
    if not len(of_queries):
        return scores
    asked = _moved_items(who, queries, device)
    for items, pairs in _parts(candidates, of_candidates, device):
        part = candidates if len(items) == len(candidates) else candidates.take(items)
        listed = _moved_items(who, part, device)
        rows = of_queries[pairs], np.searchsorted(items, of_candidates[pairs])
        lengths = queries.lengths[rows[0]], part.lengths[rows[1]]
        longest_first = np.lexsort(lengths)[::-1]
        asked_side, listed_side = (
            _Side(of, torch.tensor(each[longest_first], device=device), length[longest_first])
            for of, each, length in zip((asked, listed), rows, lengths, strict=True)
        )
        places = torch.tensor(pairs[longest_first], device=device)
        costs = _costs(asked_side, listed_side, entry_bytes)
        chunk = partial(_score_chunk, scores, places, asked_side, listed_side, work)
        in_chunks(who, device, costs, chunk)
    return scores


@dataclass(frozen=True, slots=True)
class _Side:
    """The items of one side of some pairs, and how long they are, which the host must know."""

    items: Items
    rows: Tensor
    lengths: Integers


def _score_chunk(
    scores: Tensor, places: Tensor, asked: _Side, listed: _Side, work: Work, chunk: slice
) -> None:
    padded = [
        side.items.padded(side.rows[chunk], int(side.lengths[chunk].max()))
        for side in (asked, listed)
    ]
    scores[:, places[chunk]] = work(*padded)


def _costs(asked: _Side, listed: _Side, entry_bytes: int) -> Integers:
    """Return ``[P]`` what a pair takes in a chunk that it is the first of, with the longest query.

    The pairs are sorted by their candidates' lengths, so this never rises.
    """
    longest = int(asked.lengths.max())
    of_listed = listed.lengths * (listed.items.row_bytes + longest * entry_bytes)
    return of_listed + longest * asked.items.row_bytes


def _parts(items: Ragged, chosen: Integers, device: str) -> Iterator[tuple[Integers, Integers]]:
    """Yield the distinct items that are chosen, so many as a device takes, and their pairs."""
    used = np.unique(chosen)
    row_bytes = prod(items.trailing) * (2 if items.dtype == np.float16 else 4)
    share = max(1, free_bytes(device) // SHARE_OF_FREE)
    part_of = np.cumsum(items.lengths[used]) * row_bytes // share
    if part_of[-1] == 0:
        yield used, np.arange(len(chosen))
        return
    part_of_pair = part_of[np.searchsorted(used, chosen)]
    for part in np.unique(part_of):
        yield used[part_of == part], np.flatnonzero(part_of_pair == part)


def _moved_items(who: str, items: Ragged, device: str) -> Items:
    made: list[Items] = []
    if not fits(lambda: made.append(Items(items, device))):
        raise BudgetError(
            f"{who}: the device {device!r} has not enough memory for {len(items.flat):,} rows of "
            "features; free some of it, give a smaller memory_budget, or device='cpu'"
        )
    return made[0]


__all__ = ["Items", "Padded", "Work", "moved", "score_pairs", "scores_on_device"]
