"""The plugin contract: what a reranker or an encoder is, what it is given and what it returns.

Everything a third party needs stands in this file; `crossrank.testing` checks it.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.feature import Feature
from crossrank._items.fingerprint import fingerprint
from crossrank._items.item import Item
from crossrank._lists.candidates import Candidates
from crossrank._lists.evidence import Evidence
from crossrank._progress import Progress, silent
from crossrank.errors import ParameterError, nearest
from crossrank.plugin.pairs import Pairs, Side, text_asks

State: TypeAlias = Any
"""What `Reranker.prepare` returns: picklable, or rebuilt from the cache folder."""


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """What a reranker says of itself without being built.

    Parameters
    ----------
    name
        The name of its entry point.
    summary
        One line for ``crossrank plugins``.
    paper
        Where the method comes from.
    query_features, candidate_features
        What `score` reads of the queries and of the candidates.
    explain_features
        What `explain` reads besides, of either side, where it is there.
    directions
        Such as ``("t2i", "i2t")``; empty means any.
    transductive
        Whether the score of a pair depends on other queries (seen in `prepare`).
    trained
        Whether it needs weights fitted beforehand.
    thread_safe
        Whether `score` may run in several threads at once.
    single_threaded
        Whether one call of `score` makes good use of one thread only; the other threads of a worker
        then score other queries at the same time.
    extra
        The extra of its distribution that installs what it needs.
    """

    name: str
    summary: str
    paper: str = ""
    query_features: tuple[str, ...] = ()
    candidate_features: tuple[str, ...] = ()
    explain_features: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    transductive: bool = False
    trained: bool = False
    thread_safe: bool = True
    single_threaded: bool = False
    extra: str = ""


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What an encoder says of itself without being built.

    Parameters
    ----------
    name
        The name of its entry point.
    summary
        One line for ``crossrank plugins``.
    features
        The features it can give, per modality.
    default_features
        Those it gives when nothing is asked for.
    paper
        Where the method comes from.
    extra
        The extra of its distribution that installs what it needs.
    """

    name: str
    summary: str
    features: Mapping[str, tuple[str, ...]]
    default_features: tuple[str, ...] = ("embedding", "tokens")
    paper: str = ""
    extra: str = ""


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


@dataclass(frozen=True, slots=True)
class Block:
    """Some queries with their candidates: all that `score` gets to see.  Every array is read-only.

    Parameters
    ----------
    queries
        The Q queries, with the features that were asked for.
    candidates
        The U distinct candidates of these queries, likewise.
    index
        ``[Q, K]`` int64 rows of `candidates`; 0 where `mask` is False.
    mask
        ``[Q, K]`` bool: the lists may be ragged.
    base_scores
        ``[Q, K]`` float64, or None where the base matcher gave none.
    direction
        ``"t2i"``, ``"i2t"``, in general ``<query>2<candidate>``.
    query_rows, candidate_rows
        ``[Q]`` and ``[U]`` int64: rows in the run's queries and gallery, for a state made in
        `prepare`.
    keep
        If set, only the `keep` best raw scores of a query matter: the others may be approximate as
        long as they stay below these.
    previous
        ``[Q, K]`` float64 the scores before the stage; None unless `Needs` asks for them.
    """

    queries: Collection
    candidates: Collection
    index: NDArray[np.int64]
    mask: NDArray[np.bool_]
    base_scores: NDArray[np.float64] | None
    direction: str
    query_rows: NDArray[np.int64]
    candidate_rows: NDArray[np.int64]
    keep: int | None = None
    previous: NDArray[np.float64] | None = None

    @property
    def texts(self) -> Collection:
        """The block's texts, in the directions ``t2i`` and ``i2t``."""
        return self.queries if text_asks(self.direction) else self.candidates

    @property
    def images(self) -> Collection:
        """The block's images, in the directions ``t2i`` and ``i2t``."""
        return self.candidates if text_asks(self.direction) else self.queries

    def pairs(self) -> Pairs:
        """Return the pairs that `mask` holds, row by row."""
        queries, columns = np.nonzero(self.mask)
        candidates = self.index[queries, columns]
        return Pairs(
            queries,
            columns,
            candidates,
            self.query_rows[queries],
            self.candidate_rows[candidates],
            (self.mask.shape[0], self.mask.shape[1]),
            self.direction,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Raw scores of a block, higher is better.

    Parameters
    ----------
    values
        ``[Q, K]`` float32, finite wherever the mask holds and the scorer does not abstain.
    abstained
        ``[Q, K]`` bool: pairs the scorer has no opinion on; None for not one.
    reason
        Why it abstains, for the trace.
    """

    values: NDArray[np.float32]
    abstained: NDArray[np.bool_] | None = None
    reason: str = ""

    @classmethod
    def of_pairs(
        cls,
        pairs: Pairs,
        values: NDArray[np.floating[Any]],
        known: NDArray[np.bool_] | None = None,
        reason: str = "",
    ) -> Scores:
        """Return the scores of a block from those of its pairs.

        Parameters
        ----------
        pairs
            See `Block.pairs`.
        values
            ``[P]``, one for each pair, or one for each known pair.
        known
            ``[P]`` bool, the pairs the scorer has an opinion on; None for all.
        reason
            Why it has none on the others.
        """
        spread = pairs.spread(values, known)
        if known is None or known.all():
            return cls(spread)
        abstained = np.zeros(pairs.shape, np.bool_)
        abstained[pairs.queries[~known], pairs.columns[~known]] = True
        return cls(spread, abstained, reason)


@dataclass(frozen=True, slots=True)
class NoParameters:
    """For plugins without parameters."""


class _Parametrised:
    """Builds and validates ``self.params`` from keyword arguments."""

    Parameters: ClassVar[type] = NoParameters
    params: Any

    def __init__(self, /, **params: Any) -> None:
        known = {each.name for each in dataclasses.fields(self.Parameters) if each.init}
        name = getattr(getattr(self, "info", None), "name", type(self).__name__)
        for given in params:
            if given not in known:
                raise ParameterError(
                    f"{name} has no parameter {given!r}{nearest(given, known) or '; it takes none'}"
                )
        for each in dataclasses.fields(self.Parameters):
            if each.name not in params and each.init and _is_required(each):
                raise ParameterError(f"{name} needs the parameter {each.name!r}; give it a value")
        try:
            self.params = self.Parameters(**params)
        except TypeError as error:
            raise ParameterError(f"{name}: {error}") from error

    def fingerprint(self) -> str:
        """Return a digest of the plugin's name and parameters."""
        return fingerprint([type(self).__module__, type(self).__qualname__, self.params])


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


class Reranker(_Parametrised, ABC):
    """Scores candidates again.

    A subclass sets `info`, names a frozen dataclass as `Parameters` if it has any (it arrives as
    ``self.params``), and writes `score`.  The engine looks after everything else: lists of any
    length, batching, reading features, fusion, ties, traces.
    """

    info: ClassVar[RerankerInfo]

    def needs(self, context: Context) -> Needs:
        """Return the features it reads; override where they depend on the direction."""
        return Needs(self.info.query_features, self.info.candidate_features)

    def prepare(self, context: Context) -> State:
        """Compute once per run what all blocks share."""
        return None

    @abstractmethod
    def score(self, block: Block, state: State) -> Scores:
        """Return the raw scores of a block's pairs.

        A pair's score depends on this pair alone (and on `state`), to 1e-5, and the input is never
        written to.
        """

    def explain(self, block: Block, state: State) -> Sequence[Evidence]:
        """Return what speaks for each pair of the block, in row-major order of its mask."""
        return ()


class Encoder(_Parametrised, ABC):
    """Turns texts and pictures into features.

    A subclass sets `info` and writes `encode_batch`; batching, progress, resuming and writing are
    the engine's.
    """

    info: ClassVar[EncoderInfo]
    batch_size: int = 32

    @abstractmethod
    def encode_batch(
        self, items: Sequence[Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        """Return the features of some items.

        Parameters
        ----------
        items
            Of one modality; pictures as paths or PIL images (see `crossrank.open_image`).
        modality
            ``"image"`` or ``"text"``.
        features
            Names out of ``info.features[modality]``.

        Returns
        -------
        Mapping
            Each feature with one entry per item, whatever the batch: to 1e-5 it does not matter
            which items share a batch.
        """


__all__ = [
    "Block",
    "Context",
    "Encoder",
    "EncoderInfo",
    "Feature",
    "Needs",
    "NoParameters",
    "Pairs",
    "Progress",
    "Reranker",
    "RerankerInfo",
    "Scores",
    "Side",
    "State",
]
