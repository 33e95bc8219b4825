"""The unit vectors of some items: their tokens, through heads if there are, and a global one."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.files import file_digest
from crossrank.plugin.optional import needs
from crossrank.plugin.unit_rows import unit

if TYPE_CHECKING:
    from crossrank_hosa.heads import HosaHeads


class VectorSource:
    """Reads the vectors that are aligned and rebuilt.

    Parameters
    ----------
    interaction
        See `crossrank_hosa.parameters.HosaParameters`.
    heads
        A file of trained heads, or None.
    """

    def __init__(self, interaction: str, heads: Path | None) -> None:
        self.interaction, self.path = interaction, heads

    @cached_property
    def heads(self) -> HosaHeads | None:
        """The trained heads, read on first use."""
        if self.path is None:
            return None
        with needs("hosa with trained heads", "hosa", "torch")():
            from crossrank_hosa.heads import load_heads
        return load_heads(self.path)

    @cached_property
    def digest(self) -> str:
        """What the vectors follow from besides the features."""
        if self.path is None:
            return self.interaction
        content = file_digest("hosa", self.path, "train heads with research/train_hosa.py")
        return f"{self.interaction} {content}"

    def token_feature(self, modality: str) -> str:
        """Return the ragged feature that is read of a modality."""
        if self.heads is None:
            return "tokens"
        sizes = self.heads.sizes
        return sizes.image_feature if modality == "image" else sizes.text_feature

    def features(self, modality: str) -> tuple[str, ...]:
        """Return all features that are read of a modality."""
        more = ("embedding",) if self.interaction == "embedding" else ()
        return (self.token_feature(modality), *more)

    def extra(self) -> int:
        """Return how many vectors an item has besides its tokens."""
        return int(self.interaction != "none")

    def size(self, collection: cr.Collection) -> int:
        """Return the length of a vector, after refusing features that give none.

        Raises
        ------
        FeatureMismatchError
            If the heads were trained on rows of another size, or a token and the embedding that
            joins it differ in size.
        """
        name = self.token_feature(collection.modality)
        found = collection[name].trailing
        if len(found) != 1:
            raise FeatureMismatchError(f"hosa: a row of {name!r} has shape {found}, not [D]")
        size = int(found[0])
        if self.heads is not None:
            sizes = self.heads.sizes
            expected = sizes.image if collection.modality == "image" else sizes.text
            if size != expected:
                raise FeatureMismatchError(
                    f"hosa: the heads {self.path} read {name!r} of {expected} numbers, those of "
                    f"the {collection.modality}s have {size}; train heads on this encoder"
                )
            size = sizes.token
        if self.interaction == "embedding" and collection["embedding"].shape[1] != size:
            raise FeatureMismatchError(
                f"hosa: interaction='embedding' joins an embedding of "
                f"{collection['embedding'].shape[1]} numbers to tokens of {size}; "
                "give interaction='mean'"
            )
        return size

    def check_empty(self, collection: cr.Collection, items: NDArray[np.int64]) -> None:
        """Refuse items without a token."""
        lengths = collection[self.token_feature(collection.modality)].lengths[items]
        empty = items[lengths == 0]
        if len(empty):
            raise InputError(
                f"hosa: {collection.modality} {collection.ids[empty[0]]!r} has no token, so there "
                "is nothing to compare; leave it out, or encode it again"
            )

    def vectors(self, collection: cr.Collection, items: NDArray[np.int64]) -> cr.Ragged:
        """Return the unit vectors of some items, ``[L, D]`` each, float64.

        Raises
        ------
        InputError
            If an item has no token, or one that is not finite.
        """
        self.check_empty(collection, items)
        tokens: cr.Ragged = collection[self.token_feature(collection.modality)].take(items)
        finite = np.isfinite(tokens.flat).all(axis=1)
        if not finite.all():
            item = items[np.searchsorted(tokens.offsets, np.argmin(finite), side="right") - 1]
            raise InputError(
                f"hosa: a token of {collection.ids[item]!r} is not finite; leave it out, or "
                "encode it again"
            )
        rows = unit(self._through_heads(tokens.flat, collection.modality))
        if self.interaction == "none" or not len(items):
            return cr.Ragged(rows, tokens.lengths)
        if self.interaction == "mean":
            whole = np.add.reduceat(rows, tokens.offsets[:-1], axis=0)
        else:
            whole = np.asarray(collection["embedding"][items], np.float64)
        joined = np.insert(rows, tokens.offsets[1:], unit(whole), axis=0)
        return cr.Ragged(joined, tokens.lengths + 1)

    def _through_heads(self, rows: NDArray[Any], modality: str) -> NDArray[np.float64]:
        if self.heads is None:
            return rows.astype(np.float64)
        import torch

        head = self.heads.image if modality == "image" else self.heads.text
        with torch.inference_mode():
            tokens = head(torch.from_numpy(np.ascontiguousarray(rows, np.float32)))
        found: NDArray[np.float64] = tokens.numpy().astype(np.float64)
        return found
