"""One run as `Reranker.prepare` sees it, and the features that a reranker reads of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank._progress import Progress, silent
from crossrank.plugin.pairs import Side, text_asks


@dataclass(frozen=True, slots=True)
class Context:
    """One run, as `prepare` sees it.

    Parameters
    ----------
    queries, gallery
        All of them, features read when used.
    lists
        The candidate lists that will be scored, cut to the stage's depth.
    direction
        ``"t2i"``, ``"i2t"``, in general ``<query>2<candidate>``.
    cache_folder
        Where features of the gallery may be kept between runs; None for nowhere.
    memory_budget
        Bytes that the run may hold besides its inputs and result.
    device
        Where torch should compute.
    dtype
        The float type for models: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    threads
        How many threads a kernel may use.
    progress
        To be called during long work.
    before
        The `crossrank.Stage` objects that come before this one.
    previous
        ``[Q, K]`` float64 the scores after them, in the places of `lists`.  Without any they are
        the base scores, or minus the base rank.
    """

    queries: Collection
    gallery: Collection
    lists: Candidates
    direction: str
    cache_folder: Path | None = None
    memory_budget: int = 1 << 30
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    progress: Progress = silent
    before: tuple[Any, ...] = ()
    previous: NDArray[np.float64] | None = None

    @property
    def query_rows(self) -> NDArray[np.int64]:
        """``[len(lists)]`` the row in `queries` of each list."""
        return np.array([self.queries.row(id) for id in self.lists.query_ids], np.int64)

    @property
    def asked(self) -> Side:
        """The queries that have a candidate."""
        return Side(self.queries, np.unique(self.query_rows[self.lists.mask.any(axis=1)]))

    @property
    def listed(self) -> Side:
        """The candidates that are in a list."""
        return Side(self.gallery, np.unique(self.lists.index[self.lists.mask]))

    @property
    def texts(self) -> Side:
        """The side of the texts, in the directions ``t2i`` and ``i2t``."""
        return self.asked if text_asks(self.direction) else self.listed

    @property
    def images(self) -> Side:
        """The side of the images, in the directions ``t2i`` and ``i2t``."""
        return self.listed if text_asks(self.direction) else self.asked


@dataclass(frozen=True, slots=True)
class Needs:
    """The features a reranker reads.

    Parameters
    ----------
    queries, candidates
        Of either side; they must be there before any work starts.
    prepare_only
        Those among them that `prepare` alone reads: no block carries them to `score`.
    previous
        Whether it reads the scores before its stage: only then do blocks carry them.
    """

    queries: tuple[str, ...]
    candidates: tuple[str, ...]
    prepare_only: tuple[str, ...] = ()
    previous: bool = False

    @classmethod
    def by_modality(
        cls,
        direction: str,
        texts: Sequence[str],
        images: Sequence[str],
        prepare_only: Sequence[str] = (),
    ) -> Needs:
        """Return what is read of texts and of images, whichever of them asks.

        Parameters
        ----------
        direction
            ``"t2i"`` or ``"i2t"``.
        texts, images
            The features of either.
        prepare_only
            See `Needs`.
        """
        sides = tuple(texts), tuple(images)
        asked, listed = sides if text_asks(direction) else sides[::-1]
        return cls(asked, listed, tuple(prepare_only))

    def of_blocks(self) -> Needs:
        """Return what blocks carry."""
        return Needs(
            tuple(name for name in self.queries if name not in self.prepare_only),
            tuple(name for name in self.candidates if name not in self.prepare_only),
            previous=self.previous,
        )
