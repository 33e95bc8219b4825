"""The knowledge bank: what the regions that carry a word look like on average."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank import Ragged, fingerprint
from crossrank.errors import InputError, StoreError
from crossrank_knowledge.building import LabelledFeature, Source, forget_sums, summed
from crossrank_knowledge.checks import as_clusters, as_counts, as_finite, as_prototypes, as_weight
from crossrank_knowledge.graph import nearest_graph
from crossrank_knowledge.lookup import WordLookup
from crossrank_knowledge.merging import merged
from crossrank_knowledge.store import open_bank, save_bank

if TYPE_CHECKING:
    import networkx as nx


class KnowledgeBank(WordLookup):
    """Words and their prototypes, by falling count.

    Parameters
    ----------
    words
        V distinct words.
    prototypes
        ``[V, D]`` the arithmetic mean of the raw features of all regions that carry the word.
    counts
        ``[V]`` how many regions carry it, at least 1; all 1 by default.  The words are sorted by
        falling count, equal ones as they were given.
    spread
        ``[V]`` root mean squared distance of a word's features from its prototype, where known.
    mean
        ``[D]`` the mean of all regions, which `center` subtracts; by default that of the
        prototypes weighted by count, the same thing where every region carries one word.
    regions
        How many regions it was built from; by default the sum of the counts.
    clusters
        Several prototypes per word: ragged ``[M_v, D]``, at least one each.
    weight
        ``[F, D]`` the map that a refined or whitened bank applies to regions ``[F]`` (its
        prototypes are mapped already), MACK's W.
    encoder
        What made the features: the `encoder` of the collection they came from.
    data
        What else is known of their origin, such as a data set's name; JSON can hold it.
    parent
        The fingerprint of the bank this one was refined from.

    Raises
    ------
    InputError
        If it is empty, a word stands twice or has no count, or a number is not finite.

    Examples
    --------
    >>> bank = KnowledgeBank(["dog", "ball"], [[3.0, 4.0], [0.0, 2.0]], [2, 5])
    >>> bank.words, bank.lookup("dog").tolist(), bank.nearest("dog", 1)
    (('ball', 'dog'), [3.0, 4.0], [('ball', 0.8)])
    """

    __slots__ = (
        "_digest",
        "_rows",
        "clusters",
        "counts",
        "data",
        "encoder",
        "mean",
        "parent",
        "prototypes",
        "regions",
        "spread",
        "weight",
        "words",
    )

    def __init__(
        self,
        words: Iterable[str],
        prototypes: ArrayLike,
        counts: ArrayLike | None = None,
        spread: ArrayLike | None = None,
        *,
        mean: ArrayLike | None = None,
        regions: int | None = None,
        clusters: Ragged | None = None,
        weight: ArrayLike | None = None,
        encoder: str | None = None,
        data: Mapping[str, Any] | None = None,
        parent: str | None = None,
    ) -> None:
        names = tuple(words)
        vectors = as_prototypes("prototypes", prototypes, len(names))
        size = vectors.shape[1]
        numbers = as_counts(names, counts)
        order = np.argsort(-numbers, kind="stable")
        sorted_already = bool((order == np.arange(len(order))).all())
        rest = None if spread is None else as_finite("spread", spread, (len(names),))
        self.words = names if sorted_already else tuple(names[row] for row in order)
        self.prototypes = vectors if sorted_already else vectors[order]
        self.counts = numbers[order]
        self.spread = None if rest is None else rest[order]
        self.mean = (
            (numbers @ vectors.astype(np.float64) / numbers.sum()).astype(np.float32)
            if mean is None
            else as_finite("mean", mean, (size,))
        )
        self.regions = int(numbers.sum()) if regions is None else int(regions)
        self.clusters = None if clusters is None else as_clusters(clusters, order, size)
        self.weight = None if weight is None else as_weight(weight, size)
        self.encoder = encoder
        self.data = dict(data) if data is not None else {}
        self.parent = parent
        self._rows = {word: row for row, word in enumerate(self.words)}
        self._digest = ""
        if len(self._rows) != len(self.words):
            twice = next(w for row, w in enumerate(self.words) if self._rows[w] != row)
            raise InputError(f"KnowledgeBank: the word {twice!r} stands twice; merge its features")

    def fingerprint(self) -> str:
        """Return a digest of everything the bank holds."""
        if not self._digest:
            self._digest = fingerprint([self.words, self.arrays(), self.origin()])
        return self._digest

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, those that are there."""
        found: dict[str, NDArray[Any] | None] = {
            "prototypes": self.prototypes,
            "counts": self.counts,
            "spread": self.spread,
            "mean": self.mean,
            "weight": self.weight,
            "clusters": None if self.clusters is None else self.clusters.flat,
            "cluster_lengths": None if self.clusters is None else self.clusters.lengths,
        }
        return {name: array for name, array in found.items() if array is not None}

    def origin(self) -> dict[str, Any]:
        """Return where the bank comes from, as JSON holds it."""
        return {
            "regions": self.regions,
            "encoder": self.encoder,
            "data": self.data,
            "parent": self.parent,
        }

    @classmethod
    def _restored(
        cls, words: tuple[str, ...], arrays: Mapping[str, NDArray[Any]], origin: Mapping[str, Any]
    ) -> KnowledgeBank:
        """Return the bank that was saved, without reading its arrays to check them again."""
        bank = object.__new__(cls)
        bank.words = words
        bank.prototypes, bank.counts, bank.mean = (
            arrays[name] for name in ("prototypes", "counts", "mean")
        )
        bank.spread, bank.weight = arrays.get("spread"), arrays.get("weight")
        bank.clusters = None
        if "clusters" in arrays:
            bank.clusters = Ragged(arrays["clusters"], arrays["cluster_lengths"])
        bank.regions, bank.encoder = origin["regions"], origin["encoder"]
        bank.data, bank.parent = origin["data"], origin["parent"]
        bank._digest = origin["fingerprint"]
        bank._rows = {word: row for row, word in enumerate(words)}
        return bank

    @classmethod
    def build(
        cls,
        stream: Iterable[LabelledFeature] | Source,
        out: str | Path | None = None,
        *,
        encoder: str | None = None,
        data: dict[str, Any] | None = None,
        lemma: Callable[[str], str] | None = None,
        min_count: int = 1,
        not_finite: Literal["refuse", "skip"] = "refuse",
        checkpoint_every: int = 50_000,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> KnowledgeBank:
        """Build a bank in one pass over labelled regions.

        Parameters
        ----------
        stream
            ``(label, feature [D])`` per region, or a `Source`.  A label's words (`label_tokens`)
            all receive the whole feature.
        out
            A new folder for the bank.  Until it is complete the sums lie in ``<out>.partial``, and
            the same call goes on from there; a plain iterable is read again up to that place and
            must give the same items.  Called once more, it opens the finished bank.
        encoder
            What made the features: the `encoder` of their collection; taken from a `Source`.
        data
            What to note of their origin.
        lemma
            Maps each word to what it shall be counted as; not the paper's.
        min_count
            Leave out words that fewer regions carry; not the paper's.
        not_finite
            What to do with a feature that holds NaN or infinity: refuse it, or skip and count it.
        checkpoint_every
            Items between two checkpoints.
        progress
            Called as ``progress("build", items, 0)`` at every checkpoint: the total is not known.

        Raises
        ------
        InputError
            Naming the item: a label that is no str, a feature that is no vector, of another length,
            or not finite; or if no word is left.
        StoreError
            If `out` exists and holds anything else, or what lies in ``<out>.partial`` is another
            build's.
        """
        folder = None if out is None else Path(out)
        made = summed(
            stream,
            folder,
            encoder=encoder,
            data=data,
            lemma=lemma,
            min_count=min_count,
            not_finite=not_finite,
            checkpoint_every=checkpoint_every,
            progress=progress,
        )
        if made is not None:
            bank = cls(**made[0])
            if folder is None:
                return bank
            save_bank(bank, folder, made[1])
            forget_sums(folder)
        assert folder is not None  # only a folder can hold the bank already
        return cls.open(folder)

    def save(self, folder: str | Path) -> None:
        """Write the bank to a new folder, which appears only when it is complete."""
        save_bank(self, Path(folder))

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool = False) -> KnowledgeBank:
        """Open a saved bank; arrays are memory-mapped and read when used.

        Parameters
        ----------
        folder
            Of `save`, `build` or `refine`.
        verify
            Read everything and compare it with the digest that was written.  Without, names and
            sizes are looked at alone.

        Raises
        ------
        StoreError
            If the folder or a file is missing, truncated, foreign, of another version or, with
            `verify`, not what was written.
        """
        bank = cls._restored(*open_bank(Path(folder)))
        written = bank.fingerprint()
        bank._digest = "" if verify else written
        if bank.fingerprint() != written:
            raise StoreError(
                f"{folder} is not what was written, though as long; build the bank again"
            )
        return bank

    def merge(self, *others: KnowledgeBank) -> KnowledgeBank:
        """Return the bank of all regions together; see `merge`."""
        return KnowledgeBank(**merged([self, *others]))

    def to_networkx(
        self, k: int = 5, words: Sequence[str] | None = None, center: bool = False
    ) -> nx.Graph:
        """Return the graph of nearest words; see `crossrank_knowledge.graph.nearest_graph`."""
        return nearest_graph(self, k, words, center)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KnowledgeBank):
            return NotImplemented
        return self.fingerprint() == other.fingerprint()

    __hash__ = None  # type: ignore[assignment]  # equal by content, like any container of arrays

    def __repr__(self) -> str:
        made = f", {self.encoder}" if self.encoder is not None else ""
        return f"KnowledgeBank({len(self)} words, {self.size} dimensions{made})"


def merge(banks: Sequence[KnowledgeBank]) -> KnowledgeBank:
    """Return the bank of all regions of some banks; see `crossrank_knowledge.merging.merged`."""
    return KnowledgeBank(**merged(banks))


build = KnowledgeBank.build
"""See `KnowledgeBank.build`."""
