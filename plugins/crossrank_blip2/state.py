"""What `Blip2Reranker.prepare` hands to `score`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank import Pairs
from crossrank_blip2.features import FeatureStore
from crossrank_blip2.memory_features import MemoryFeatures
from crossrank_blip2.texts import Tokens

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Images:
    """The N images that occur in a run.

    Parameters
    ----------
    rows
        ``[N]`` their rows in the collection of images.
    paths
        Where they lie.
    keys
        Digests of their content.
    place
        Per row of the collection its place among the N; 0 for those that do not occur, -1 for those
        that cannot be read.
    """

    rows: Integers
    paths: tuple[str, ...]
    keys: tuple[str, ...]
    place: Integers


@dataclass(frozen=True, slots=True)
class Texts:
    """The M texts that occur in a run.

    Parameters
    ----------
    tokens
        Theirs.
    lengths
        ``[M]`` how many each text has.
    wordless
        ``[M]`` whether nothing is left of a text but punctuation.
    place
        As for `Images`.
    """

    tokens: Tokens
    lengths: Integers
    wordless: NDArray[np.bool_]
    place: Integers


@dataclass(frozen=True, slots=True)
class Room:
    """How much goes through the model, and into memory, at once.

    Parameters
    ----------
    images, pairs, texts
        The most in one batch.
    features
        The most images whose vision output is in memory.
    shared
        The most images whose keys and values are there as well.
    scratch
        The most bytes for what ITC compares.
    """

    images: int
    pairs: int
    texts: int
    features: int
    shared: int
    scratch: int


@dataclass(frozen=True, slots=True)
class Blip2State:
    """What all blocks of a run share.

    Parameters
    ----------
    images, texts
        What occurs in the candidate lists.
    store
        Where the vision output lies.
    device, dtype
        Where and in which float type a model is loaded that is not there yet.
    room
        See `Room`.
    extra
        What a subclass keeps; see `Blip2Reranker.extra_state`.
    image_queries
        ``[N, queries, P]`` float32 unit rows; None where the score does without.
    text_embeddings
        ``[M, P]`` float32 unit rows, likewise.
    """

    images: Images
    texts: Texts
    store: FeatureStore | MemoryFeatures
    device: str
    dtype: str
    room: Room
    extra: Any = None
    image_queries: NDArray[np.float32] | None = None
    text_embeddings: NDArray[np.float32] | None = None

    def places(self, pairs: Pairs) -> tuple[Integers, Integers]:
        """Return ``[P]`` which image and which text of those that occur each pair is of."""
        return self.images.place[pairs.image_rows], self.texts.place[pairs.text_rows]
