"""How a bank is refined, and the batches it is refined on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank import Ragged
from crossrank.errors import InputError
from crossrank.plugin.parameters import check, inside, integer, positive
from crossrank.plugin.unit_rows import unit
from crossrank_knowledge.bank import KnowledgeBank

Floats = NDArray[np.float32]
Batch = tuple[Floats, Floats]


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """How a bank is refined.  None of these numbers is published: they are ours.

    Parameters
    ----------
    steps
        The most steps of Adam.
    words, regions
        How many of each in a batch; the words of a batch are distinct.
    learning_rate
        Adam's.
    temperature
        τ of the loss.
    center
        Subtract the bank's mean first.
    min_count
        Train on words that so many regions carry.
    held_out
        The share of words, and of pictures, kept for the cycle accuracy.
    every
        Steps between two looks at the cycle accuracy, which are also the checkpoints.
    patience
        Stop after so many looks without a better one.
    seed
        For batches and held-out parts.
    """

    steps: int = 1000
    words: int = 256
    regions: int = 256
    learning_rate: float = 1e-5
    temperature: float = 0.05
    center: bool = True
    min_count: int = 1
    held_out: float = 0.1
    every: int = 50
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check(
            "refine",
            self,
            steps=integer(1),
            words=integer(1),
            regions=integer(1),
            every=integer(1),
            patience=integer(1),
            min_count=integer(1),
            learning_rate=positive,
            temperature=positive,
            held_out=inside(0, 1),
        )


class Batches:
    """Unit rows of words and regions that are not paired.

    Parameters
    ----------
    bank
        Its prototypes are the words.
    regions
        Those of each picture.
    options
        Sizes, seed, and what is held out.

    Raises
    ------
    InputError
        If fewer than four words, or four pictures with regions, could be used.
    """

    def __init__(self, bank: KnowledgeBank, regions: Ragged, options: RefineOptions) -> None:
        self._bank, self._regions, self._options = bank, regions, options
        words = np.flatnonzero(bank.counts >= options.min_count)
        pictures = np.flatnonzero(regions.lengths > 0)
        if min(len(words), len(pictures)) < 4:
            raise InputError(
                f"refine: {len(words)} words and {len(pictures)} pictures are too few to hold any "
                "out; give at least four of each"
            )
        rng = np.random.default_rng(options.seed)
        self._words, self._held_words = _split(rng.permutation(words), options.held_out)
        self._pictures, self._held_pictures = _split(rng.permutation(pictures), options.held_out)

    def batch(self, step: int) -> Batch:
        """Return the words and regions of a step, the same whenever it is asked for."""
        rng = np.random.default_rng([self._options.seed, step])
        return self._drawn(rng, self._words, self._pictures)

    def held_out(self) -> Batch:
        """Return words and regions that no step sees."""
        rng = np.random.default_rng(self._options.seed)
        return self._drawn(rng, self._held_words, self._held_pictures)

    def _drawn(
        self, rng: np.random.Generator, words: NDArray[np.int64], pictures: NDArray[np.int64]
    ) -> Batch:
        chosen = rng.choice(words, min(self._options.words, len(words)), replace=False)
        places = rng.choice(pictures, self._options.regions, replace=True)
        cells = self._regions.offsets[places] + rng.integers(self._regions.lengths[places])
        return (
            self._unit(self._bank.prototypes[chosen], mapped=True),
            self._unit(self._regions.flat[np.unique(cells)], mapped=False),
        )

    def _unit(self, rows: NDArray[np.floating], mapped: bool) -> Floats:
        vectors = np.asarray(rows, np.float32)
        if self._bank.weight is not None and not mapped:
            vectors = vectors @ self._bank.weight
        if self._options.center:
            vectors = vectors - np.asarray(self._bank.mean, np.float32)
        return unit(vectors)


def _split(rows: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    held = min(max(2, round(share * len(rows))), len(rows) - 2)
    return rows[held:], rows[:held]
