"""Collections: ids and their features, in memory or memory-mapped, always the same object.

The standard features, by which encoders and rerankers understand each other:

============== ============================ =====================================================
``embedding``   ``[N, D]`` float             one unit row per item
``tokens``      ragged ``[L_n, D]`` float    unit rows: patches of an image, words of a text
``token_text``  per item a list of str       what each token of a text says
``token_boxes`` ragged ``[L_n, 4]`` float    where each token of an image lies
``token_roles`` ragged ``[L_n]`` int         1 for an item's own token, 0 for a model's prompt
``regions``     ragged ``[R_n, D]`` float    raw region vectors
``boxes``       ragged ``[R_n, 4]`` float    where the regions lie
``labels``      per item a list of str       what a detector calls each box
``box_scores``  ragged ``[R_n]`` float       how sure it is, in [0, 1]
``words``       ragged ``[L_n, D]`` float    raw word vectors
``concepts``    per item a list of pairs     ``(noun, adjective or None)``
``size``        ``[N, 2]`` int               width and height of the original image, in pixels
``text``        str                          the text itself
``path``        str                          where the picture lies
============== ============================ =====================================================

Boxes are ``x0, y0, x1, y1`` in [0, 1] of the original image.  A plugin may name more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from crossrank._items.arrays import has_members
from crossrank._items.collection_folder import open_collection, verify_collection
from crossrank._items.collection_html import collection_html
from crossrank._items.feature import (
    UNIT,
    Feature,
    as_feature,
    check_unchanged,
    is_stored_feature,
    read_only,
    same_feature,
    take_items,
    unit_rows,
)
from crossrank._items.fingerprint import fingerprint
from crossrank._items.ids import check_distinct_rows, chosen_rows, unique_rows
from crossrank._items.item import listed
from crossrank._items.joining import (
    check_joinable,
    check_like,
    columns_of,
    joined,
    write_joined,
)
from crossrank.errors import InputError, MissingFeatureError, StoreError, UnknownIdError


class Collection:
    """Items of one modality under unique ids, with whatever features are known of them.

    Parameters
    ----------
    ids
        Unique, non-empty; anything but a str is turned into one.
    modality
        ``"image"``, ``"text"`` or ``"image+text"``.
    encoder
        What made the features (name and fingerprint), where known.
    normalise
        True to scale the rows of ``embedding`` and ``tokens``, which are promised to have unit
        length, to it.
    **features
        Each one an array ``[N, ...]``, a `Ragged` of N items, or a sequence of N values that JSON
        can hold.

    Raises
    ------
    DuplicateIdError
        If an id stands twice.
    InputError
        If a feature does not have one entry per id.

    Examples
    --------
    >>> words = Collection(["q"], "text", embedding=[[1.0, 0.0]], text=["a dog"])
    >>> words["embedding"].shape, words.features
    ((1, 2), ('embedding', 'text'))
    """

    __slots__ = ("_digest", "_features", "_folder", "_rows", "encoder", "ids", "modality")

    def __init__(
        self,
        ids: Iterable[Any],
        modality: str,
        *,
        encoder: str | None = None,
        normalise: Any = False,
        **features: Feature | ArrayLike,
    ) -> None:
        if not has_members(ids):
            raise InputError(f"Collection: ids are {ids!r:.60}; give a list of them")
        self.ids = tuple(str(id) for id in ids)
        self.modality = modality
        self.encoder = encoder
        self._rows: dict[str, int] | None = unique_rows(self.ids)
        self._features: Mapping[str, Feature] = {
            name: as_feature(name, value, len(self.ids)) for name, value in features.items()
        }
        if normalise is True:
            promised = {name: each for name, each in self._features.items() if name in UNIT}
            unit = {name: unit_rows(each) for name, each in promised.items()}
            self._features = {**self._features, **unit}
        self._digest: str | None = None
        self._folder: Path | None = None
        if not isinstance(modality, str) or modality not in ("image", "text", "image+text"):
            raise InputError(
                f"Collection: modality is {modality!r:.80}; give 'image', 'text' or 'image+text'"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, feature: object) -> bool:
        return feature in self._features

    def __getitem__(self, feature: str) -> Any:
        """Return a feature.

        Raises
        ------
        MissingFeatureError
            If the collection does not have it.
        StoreError
            If its file was changed since the collection was opened.
        """
        try:
            values = self._features[feature]
        except (KeyError, TypeError):
            raise MissingFeatureError(
                f"this {self.modality} collection has no feature {feature!r:.80}, only "
                f"{', '.join(self._features) or 'ids'}; {self._advice(feature)}"
            ) from None
        check_unchanged(values)
        return values

    def _advice(self, feature: object) -> str:
        if isinstance(feature, int):
            return f"items are taken with .take([{feature}])"
        if not isinstance(feature, str):
            return "give the name of one"
        if feature in ("id", "ids"):
            return "ids are no feature: take .ids"
        if feature in self.ids:
            return f"an item is taken by its row: .take([collection.row({feature!r})])"
        return "encode it again with that feature"

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order they were given."""
        return tuple(self._features)

    def row(self, id: str) -> int:
        """Return the row of an id.

        Raises
        ------
        UnknownIdError
            If no item has this id.
        """
        if self._rows is None:
            self._rows = unique_rows(self.ids)
        try:
            return self._rows[id]
        except (KeyError, TypeError):
            raise UnknownIdError(
                f"no {self.modality} has the id {id!r:.80} among {len(self)} items"
            ) from None

    def rows(self, ids: Iterable[str]) -> list[int]:
        """Return the rows of several ids, -1 for one that no item has."""
        if self._rows is None:
            self._rows = unique_rows(self.ids)
        known = self._rows
        return [known.get(id, -1) for id in ids]

    def take(
        self,
        rows: ArrayLike,
        features: Sequence[str] | None = None,
        *,
        ids: Sequence[Any] | None = None,
    ) -> Collection:
        """Return a copy in memory of some rows, with some features.

        Parameters
        ----------
        rows
            ``[M]`` integers in [0, N); distinct, unless `ids` give every place a name of its own.
        features
            Which ones; all of them by default.
        ids
            ``[M]`` new ids, such as ``["q1/left", "q1/right"]`` where fixed lists of pairs name an
            item more than once.

        Raises
        ------
        InputError
            If `rows` are something else, such as a mask, or `ids` are not as many.
        DuplicateIdError
            If a row, or a new id, stands twice.
        """
        chosen = chosen_rows("Collection.take", rows, len(self))
        if ids is None:
            check_distinct_rows("Collection.take", chosen)
        names = self.features if features is None else listed("take", "features", features)
        own = tuple(map(self.ids.__getitem__, chosen.tolist()))
        if ids is not None:
            own = tuple(str(id) for id in listed("take", "ids", ids))
            if len(own) != len(chosen):
                raise InputError(f"Collection.take: {len(own)} ids for {len(chosen)} rows")
            unique_rows(own)
        return self._derived(own, {name: take_items(self[name], chosen) for name in names})

    @classmethod
    def concat(cls, parts: Iterable[Collection], out: str | Path | None = None) -> Collection:
        """Return the items of several collections, one after the other.

        Parameters
        ----------
        parts
            At least one; of one modality, with the same features in the same sizes, made by the
            same encoder where that is known, and without an id in common.
        out
            A new folder to write to, by which nothing lies in memory as a whole.

        Returns
        -------
        Collection
            In memory, or opened from `out`.  Its encoder is None where that of a part is.

        Raises
        ------
        InputError
            If there is no part, or one of another modality.
        MissingFeatureError, FeatureMismatchError
            If a part lacks a feature, or has it in another size, of another kind or from another
            encoder.
        DuplicateIdError
            If two parts share an id.
        StoreError
            If `out` exists or cannot be written.
        """
        given = list(parts) if has_members(parts) else []
        if not given or not all(isinstance(part, Collection) for part in given):
            raise InputError("Collection.concat: give a list of at least one collection")
        first = given[0]
        for number, part in enumerate(given):
            check_like(first, part, f"Collection.concat: collection {number}")
        ids = tuple(id for part in given for id in part.ids)
        unique_rows(ids)
        encoder = first.encoder if all(part.encoder for part in given) else None
        columns = columns_of(given)
        for name, features in columns.items():
            check_joinable("Collection.concat", name, features)
        if out is not None:
            write_joined(Path(out), first.modality, encoder, ids, columns)
            return cls.open(out)
        whole = {name: joined(features) for name, features in columns.items()}
        return cls(ids, first.modality, encoder=encoder, **whole)

    def is_stored(self, features: Sequence[str]) -> bool:
        """Return whether any of some features lies on disk, or has to be decoded."""
        return any(is_stored_feature(self[name]) for name in features)

    def read_only(self, features: Sequence[str]) -> Collection:
        """Return a view of some features whose arrays refuse to be written to."""
        return self._derived(self.ids, {name: read_only(self[name]) for name in features})

    def _derived(self, ids: tuple[str, ...], features: Mapping[str, Feature]) -> Collection:
        """Return a part of this collection without checking again what holds already."""
        part = object.__new__(Collection)
        part.ids, part.modality, part.encoder = ids, self.modality, self.encoder
        part._rows, part._features, part._digest, part._folder = None, features, None, None
        return part

    def with_features(
        self, *, normalise: Any = False, **features: Feature | ArrayLike
    ) -> Collection:
        """Return a collection of the same items with more features, or others in their place.

        Parameters
        ----------
        normalise
            Whether to scale rows that are promised to have unit length to it, see `Collection`.
        **features
            See `Collection`.
        """
        merged = {**self._features, **features}
        return Collection(
            self.ids, self.modality, encoder=self.encoder, normalise=normalise, **merged
        )

    def fingerprint(self) -> str:
        """Return a digest of ids and features; read from the manifest where it is on disk."""
        if self._digest is None:
            self._digest = fingerprint([self.modality, self.ids, dict(self._features)])
        return self._digest

    def save(self, folder: str | Path, dtype: Mapping[str, str] | None = None) -> None:
        """Write the collection to a new folder, which appears only when it is complete.

        Parameters
        ----------
        folder
            Where to.
        dtype
            As what to store some features of floats: ``"float32"``, ``"float16"``, and, for ragged
            ones, ``"bfloat16"`` or ``"int8"``, which are float32 again where they are read, such as
            ``{"tokens": "int8"}``; see `crossrank._items.compact` for what is lost.

        Raises
        ------
        MissingFeatureError
            If `dtype` names a feature that is not there.
        InputError
            If a feature cannot be stored so.
        """
        dtypes = {} if dtype is None else dtype
        if not isinstance(dtypes, Mapping):
            raise InputError(
                f"Collection.save: dtype is {dtype!r:.60}; give a float type for each feature, "
                'such as {"tokens": "float16"}'
            )
        for name in dtypes:
            self[name]
        own = {name: self[name] for name in self.features}
        write_joined(Path(folder), self.modality, self.encoder, self.ids, {}, own, dtypes)

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool = False) -> Collection:
        """Open a saved collection; arrays are memory-mapped and read when used.

        Parameters
        ----------
        folder
            Of `save` or `crossrank.encode`.
        verify
            Read every byte and compare it with the digests that were written.  Without, names and
            sizes are looked at alone, and damage that leaves a file as long as it was is not seen.

        Raises
        ------
        StoreError
            If the folder or a file is missing, truncated, foreign, of another version or, with
            `verify`, not what was written.
        """
        if verify:
            verify_collection(Path(folder))
        stored = open_collection(Path(folder))
        collection = cls(stored.ids, stored.modality, encoder=stored.encoder, **stored.features)
        collection._digest, collection._folder = stored.digest, stored.folder
        # ids were unique; the table of a large gallery is made when asked for
        collection._rows = None
        return collection

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process as a folder where it is one, with everything where it is not."""
        if self._folder is not None:
            return _reopened, (self._folder, self.fingerprint())
        rest = self.ids, self.modality, self.encoder, dict(self._features)
        return _rebuilt, rest

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Collection):
            return NotImplemented
        return (self.ids, self.modality, self.encoder, set(self.features)) == (
            other.ids,
            other.modality,
            other.encoder,
            set(other.features),
        ) and all(same_feature(self[name], other[name]) for name in self.features)

    __hash__ = None  # type: ignore[assignment]  # equal by content, like any container of arrays

    def _repr_html_(self) -> str:
        return collection_html(self)

    def __repr__(self) -> str:
        return f"Collection({len(self)} {self.modality}s: {', '.join(self.features) or 'ids only'})"


def _reopened(folder: Path, digest: str) -> Collection:
    collection = Collection.open(folder)
    if collection.fingerprint() != digest:
        raise StoreError(f"{folder} is not what it was on the machine that sent it")
    return collection


def _rebuilt(
    ids: tuple[str, ...], modality: str, encoder: str | None, features: Mapping[str, Feature]
) -> Collection:
    return Collection(ids, modality, encoder=encoder, **features)
