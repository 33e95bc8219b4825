"""Texts encoded once and kept, put together as the queries of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError
from crossrank.plugin.encoders import as_encoder, maker_name

REMEMBERED = 20_000
"""Texts whose features are kept."""


class EncodedTexts:
    """The features of texts, each encoded when it is first asked for.

    Parameters
    ----------
    encoder
        Gives ``embedding`` and whatever else is asked for; every collection has the embedding.
    """

    def __init__(self, encoder: cr.Encoder) -> None:
        self.encoder = encoder
        self._maker = maker_name(encoder)
        self._known: dict[tuple[str, ...], dict[str, Mapping[str, Any]]] = {}

    def embeddings(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return ``[T, D]`` of some texts."""
        found: dict[str, Any] = {}
        for known in self._known.values():
            found.update((text, known[text]["embedding"]) for text in texts if text in known)
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        for text, row in zip(missing, self._features(missing, ("embedding",)), strict=True):
            found[text] = row["embedding"]
        return np.array([found[text] for text in texts], np.float64)

    def collection(
        self, ids: Sequence[str], texts: Sequence[str], features: Sequence[str]
    ) -> cr.Collection:
        """Return some texts, which may repeat, as a collection."""
        rows = self._features(texts, tuple(dict.fromkeys(["embedding", *features])))
        columns = {name: _column([row[name] for row in rows]) for name in rows[0]}
        return cr.Collection(ids, "text", encoder=self._maker, **columns)

    def _features(self, texts: Sequence[str], names: tuple[str, ...]) -> list[Mapping[str, Any]]:
        known = self._known.setdefault(names, {})
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if len(known) + len(missing) > REMEMBERED:
            known.clear()
            missing = list(dict.fromkeys(texts))
        if missing:
            # texts of one length fill a batch; a long one would pad all others of its batch
            missing.sort(key=len)
            made = cr.encode(self.encoder, missing, "text", names)
            for row, text in enumerate(missing):
                known[text] = {name: made[name][row] for name in made.features}
        return [known[text] for text in texts]


def encoder_of(gallery: cr.Collection, encoder: str | cr.Encoder | None) -> cr.Encoder:
    """Return what encodes the texts for a gallery: what is given, else what made the gallery.

    Raises
    ------
    FeatureMismatchError
        If the gallery was made by another version, or with other parameters, than the encoder
        which its name stands for.
    """
    if encoder is not None:
        return as_encoder(encoder, {})
    name, _, digest = ("lite" if gallery.encoder is None else gallery.encoder).partition(":")
    found = as_encoder(name, {})
    if digest and maker_name(found) != gallery.encoder:
        raise FeatureMismatchError(
            f"the gallery was made by {gallery.encoder}, and {name!r} is {maker_name(found)} here; "
            "give encoder= with the parameters it was made with, or encode it again"
        )
    return found


def _column(values: Sequence[Any]) -> Any:
    """Join the rows of a feature: vectors to an array, matrices to a ragged one, else a tuple."""
    if not isinstance(values[0], np.ndarray):
        return tuple(values)
    return np.stack(values) if values[0].ndim < 2 else cr.Ragged.from_list(values)
