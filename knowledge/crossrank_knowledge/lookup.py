"""Looking words up in a bank: their rows, their prototypes, the words nearest to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossrank import Ragged
from crossrank.errors import UnknownIdError, nearest
from crossrank.plugin.unit_rows import unit
from crossrank_knowledge.vectors import top_k


class WordLookup:
    """What a `crossrank_knowledge.KnowledgeBank` answers; it says what the attributes are."""

    __slots__ = ()

    words: tuple[str, ...]
    prototypes: NDArray[np.float32]
    mean: NDArray[np.float32]
    clusters: Ragged | None
    weight: NDArray[np.float32] | None
    _rows: dict[str, int]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._rows

    @property
    def size(self) -> int:
        """The length D of a prototype."""
        return int(self.prototypes.shape[1])

    @property
    def region_size(self) -> int:
        """The length of a region's feature: D, or what `weight` maps to D."""
        return self.size if self.weight is None else int(self.weight.shape[0])

    def row(self, word: str) -> int:
        """Return the row of a word, 0 for the most frequent one.

        Raises
        ------
        UnknownIdError
            If the bank does not know it.
        """
        try:
            return self._rows[word]
        except KeyError:
            raise UnknownIdError(
                f"the knowledge bank has no word {word!r}{nearest(word, self.words)}"
            ) from None

    def lookup(self, word: str) -> NDArray[np.float32]:
        """Return the prototype ``[D]`` of a word; see `row`."""
        prototype: NDArray[np.float32] = self.prototypes[self.row(word)]
        return prototype

    def nearest(self, word: str, k: int = 10, center: bool = False) -> list[tuple[str, float]]:
        """Return the k words whose prototypes lie closest to a word's, with the cosine.

        With `center` the bank's mean is subtracted first: where features are all positive, every
        cosine is high without.
        """
        row = self.row(word)
        unit = self.unit_prototypes(center)
        cosines = unit @ unit[row]
        cosines[row] = -np.inf
        best = top_k(cosines, min(k, len(self) - 1))
        return [(self.words[place], float(cosines[place])) for place in best]

    def unit_prototypes(self, center: bool = False) -> NDArray[np.float32]:
        """Return the prototypes ``[V, D]`` as unit rows, the bank's mean subtracted or not."""
        mean = np.asarray(self.mean, np.float32) if center else np.float32(0)
        return unit(np.asarray(self.prototypes, np.float32) - mean)

    def prototypes_of(self, row: int) -> NDArray[np.float32]:
        """Return ``[M, D]`` the clusters of a word, or its one prototype where there are none."""
        if self.clusters is None:
            return self.prototypes[row : row + 1]
        return self.clusters[row]
