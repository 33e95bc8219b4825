"""The candidates as a questioner sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crossrank import Collection

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The candidates that are still in question, best first.

    Parameters
    ----------
    gallery
        Where they are.
    rows
        ``[n]`` int64 of the gallery.
    embed
        Texts in, their embeddings ``[T, D]`` out, comparable with the gallery's.
    query
        The text that they were found by, such as the dialogue rewritten.
    """

    gallery: Collection
    rows: NDArray[np.int64]
    embed: Callable[[Sequence[str]], Floats]
    query: str

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def embeddings(self) -> Floats:
        """``[n, D]`` of the candidates."""
        return np.asarray(self.gallery["embedding"][self.rows], np.float64)

    def similarity(self, texts: Sequence[str]) -> Floats:
        """Return ``[T, n]`` how well each text fits each candidate."""
        if not texts:
            return np.zeros((0, len(self)))
        # not a product of matrices: a text's bits would depend on how many others there are
        found: Floats = np.einsum("td,nd->tn", self.embed(texts), self.embeddings)
        return found

    def first(self, count: int) -> View:
        """Return the view of the best candidates alone."""
        return replace(self, rows=self.rows[:count])

    def prior(self) -> Floats:
        """Return ``[n]`` how likely each is the one, ``1 / rank`` scaled to a sum of 1.

        Scores of one matcher mean nothing to another; ranks do.
        """
        weights = 1.0 / np.arange(1, len(self) + 1)
        scaled: Floats = weights / weights.sum()
        return scaled
