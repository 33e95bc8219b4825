"""Which pairs are scored together: an anchor item with all its partners, gathered in runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """Some consecutive pairs, in the order of `sorted_pairs`.

    Parameters
    ----------
    pairs
        Which ones.
    groups
        They are cut at these places (from 0 to the number of pairs) into groups of one anchor.
    contiguous
        Whether their partners lie side by side; then there is one group.
    """

    pairs: slice
    groups: Integers
    contiguous: bool


def sorted_pairs(anchors: Integers, partners: Integers) -> Integers:
    """Return the order of pairs by anchor, then by partner, whatever the order of lists."""
    key = anchors.astype(np.int64, copy=False) * (int(partners.max(initial=0)) + 1) + partners
    return np.argsort(key, kind="stable")


def runs(
    anchors: Integers, partners: Integers, lengths: Integers, most_rows: int, most_gathered: int
) -> Iterator[Run]:
    """Cut sorted pairs into runs of bounded size.

    Parameters
    ----------
    anchors, partners
        ``[P]`` sorted pairs, at least one.
    lengths
        ``[P]`` how many tokens each partner has.
    most_rows, most_gathered
        A run has at most as many tokens, or a single pair; the second where its partners do not lie
        side by side.  Groups that fit are not cut, others into about equal parts.

    Yields
    ------
    Run
        Large groups of contiguous partners come alone, so that they need not be gathered.
    """
    ends = np.cumsum(lengths)
    changes = np.flatnonzero(anchors[1:] != anchors[:-1]) + 1
    starts = np.concatenate([[0], changes, [len(anchors)]])
    sizes = starts[1:] - starts[:-1]
    first, last = partners[starts[:-1]], partners[starts[1:] - 1]
    alone = (last - first == sizes - 1) & (sizes > 1)
    contiguous = set(starts[:-1][alone].tolist())
    barriers = sorted({0, len(anchors), *contiguous, *starts[1:][alone].tolist()})
    for begin, end in pairwise(barriers):
        most = most_rows if begin in contiguous else most_gathered
        at = begin
        while at < end:
            before = int(ends[at - 1]) if at else 0
            full = min(end, int(np.searchsorted(ends, before + most, side="right")))
            next_start, last_start = starts[np.searchsorted(starts, [at + 1, full + 1]) - [0, 1]]
            if last_start > at:
                stop = int(last_start)
            else:  # not even the group that is left fits
                left = int(ends[next_start - 1]) - before
                share = left // -(-left // most)
                stop = max(at + 1, int(np.searchsorted(ends, before + share, side="right")))
            inner = starts[slice(*np.searchsorted(starts, [at + 1, stop]))]
            yield Run(
                slice(at, stop), np.concatenate([[at], inner, [stop]]) - at, begin in contiguous
            )
            at = stop
