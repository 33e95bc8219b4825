"""What `MackReranker.prepare` hands to `score`, and the pairs of a block in its terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_mack.texts import TextConcepts

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MackState:
    """What all blocks of a run share.

    Parameters
    ----------
    texts
        The concepts of the texts that occur.
    text_place, image_place
        Per row of the text and the image collection its place among those that occur.
    has_regions
        Per image that occurs, whether it has any.
    maxima
        ``[N, C]`` for the pooling of ``t2i``, else None.
    device
        The device of torch that scores, None for numpy.
    """

    texts: TextConcepts
    text_place: Integers
    image_place: Integers
    has_regions: NDArray[np.bool_]
    maxima: NDArray[np.float32] | None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of a block, in row-major order of its mask.

    Parameters
    ----------
    rows, columns
        ``[P]`` where in the block.
    texts, images
        ``[P]`` which text and image among those that occur.
    image_rows
        ``[P]`` the image's row in the block's own collection of images.
    known
        ``[P]`` whether the text has a known noun and the image a region.
    """

    rows: Integers
    columns: Integers
    texts: Integers
    images: Integers
    image_rows: Integers
    known: NDArray[np.bool_]


def places(rows: Integers, count: int) -> Integers:
    """Return ``[count]`` the place of each row among `rows`, 0 for those that are not there."""
    place = np.zeros(count, np.int64)
    place[rows] = np.arange(len(rows))
    return place


def pairs_of(block: cr.Block, state: MackState) -> Pairs:
    """Look up the pairs of a block."""
    rows, columns = np.nonzero(block.mask)
    candidates = block.index[rows, columns]
    query_rows, candidate_rows = block.query_rows[rows], block.candidate_rows[candidates]
    if block.direction == "t2i":
        texts, images = state.text_place[query_rows], state.image_place[candidate_rows]
        image_rows = candidates
    else:
        texts, images = state.text_place[candidate_rows], state.image_place[query_rows]
        image_rows = rows
    known = (state.texts.of_text.lengths[texts] > 0) & state.has_regions[images]
    return Pairs(rows, columns, texts, images, image_rows, known)
