"""Pairs in groups of one image each, so that a group attends to its image as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """How B pairs stand in G groups.

    Parameters
    ----------
    images
        ``[G]`` the image of each group.
    group, place
        ``[B]`` the group of each pair, and its place there.
    size
        The places of a group, some of which may be empty.
    """

    images: Rows
    group: Rows
    place: Rows
    size: int


def grouped(images: Rows) -> Groups:
    """Put pairs of the same image together.

    A group has as many places as an image has pairs on average, and an image with more pairs has
    more groups: so there are less than ``2 n`` groups of n images, with less than ``4 B`` places.

    Parameters
    ----------
    images
        ``[B]`` the image of each pair, in any order; at least one.
    """
    distinct, image, counts = np.unique(images, return_inverse=True, return_counts=True)
    size = -(-len(images) // len(distinct))
    groups = -(-counts // size)
    turn = np.empty(len(images), np.int64)  # how many pairs of its image stand before a pair
    turn[np.argsort(image, kind="stable")] = np.arange(len(images)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    group = (np.cumsum(groups) - groups)[image] + turn // size
    return Groups(np.repeat(distinct, groups), group, turn % size, size)
