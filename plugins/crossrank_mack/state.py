"""What `MackReranker.prepare` hands to `score`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank import Pairs
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

    def places(self, pairs: Pairs) -> tuple[Integers, Integers]:
        """Return ``[P]`` which text and which image of those that occur each pair is of."""
        return self.text_place[pairs.text_rows], self.image_place[pairs.image_rows]

    def known(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return ``[P]`` whether the text has a known noun and the image a region."""
        texts, images = self.places(pairs)
        return (self.texts.of_text.lengths[texts] > 0) & self.has_regions[images]
