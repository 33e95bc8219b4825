"""From words that a whole picture carries to the regions that show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.encoders import as_encoder, maker_name
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.captions import CaptionWords
from crossrank_knowledge.vectors import region_vectors


class SharpRegions:
    """The regions of captioned pictures that a bank's words agree with; a `Source` for `build`.

    Parameters
    ----------
    words
        The pictures and their words.
    bank
        Built of them before, by the same encoder.
    encoder
        The name of an encoder that gives ``regions`` of images, or one.
    keep
        See `sharpened`.
    batch_size
        Pictures to encode at once.

    Raises
    ------
    FeatureMismatchError
        If another encoder made the bank.
    """

    def __init__(
        self,
        words: CaptionWords,
        bank: KnowledgeBank,
        encoder: str | cr.Encoder,
        keep: int,
        batch_size: int = 32,
    ) -> None:
        self.words, self.bank, self.keep, self.batch_size = words, bank, keep, batch_size
        self._encoder = as_encoder(encoder, {})
        self.encoder: str | None = maker_name(self._encoder)
        if bank.encoder is not None and bank.encoder != self.encoder:
            raise FeatureMismatchError(
                f"SharpRegions: the bank was made by {bank.encoder!r}, the regions would be by "
                f"{self.encoder!r}; give the encoder that made the bank"
            )

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        return self.from_item(0)

    def fingerprint(self) -> str:
        """Return a digest of pictures, words, bank and encoder."""
        return cr.fingerprint(
            ["sharp", self.words.fingerprint(), self.bank, self._encoder, self.keep]
        )

    def from_item(self, start: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Yield the regions from a place on; batches that lie before it are not opened."""
        passed = 0
        pairs = zip(self.words.paths, self.words.words, strict=True)
        while batch := list(islice(pairs, self.batch_size)):
            count = sum(word in self.bank for _, words in batch for word in words)
            if passed + count > start:
                items = [cr.Item(str(place), image=path) for place, (path, _) in enumerate(batch)]
                regions = cr.encode(self._encoder, items, "image", ("regions",))["regions"]
                images = zip((words for _, words in batch), regions, strict=True)
                found = sharpened(self.bank, images, self.keep)
                yield from islice(found, max(0, start - passed), None)
            passed += count


def sharpened(
    bank: KnowledgeBank,
    images: Iterable[tuple[Sequence[str], NDArray[np.floating]]],
    keep: int,
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield per word and picture the mean of the regions that agree best with the prototype.

    A bank built from captions gives each word the mean of whole pictures; a second build over
    this stream gives it the cells where it is to be seen.  Ours, not the paper's.

    Parameters
    ----------
    bank
        Built before, whitened perhaps; cosines are taken after subtracting its mean.
    images
        Per picture its words, and its regions ``[R, D]``.
    keep
        How many regions to keep, at least 1.

    Yields
    ------
    tuple
        ``(word, feature)`` for the words that the bank knows, the feature as it came.
    """
    if keep < 1:
        raise InputError(f"sharpened: keep is {keep}; give at least 1")
    units = bank.unit_prototypes(center=True)
    for words, regions in images:
        known = [word for word in words if word in bank]
        cells = np.asarray(regions, np.float32)
        rows = [bank.row(word) for word in known]
        agreement = units[rows] @ region_vectors(bank, cells, center=True).T
        best = np.argsort(-agreement, axis=1, kind="stable")[:, :keep]
        for word, places in zip(known, best, strict=True):
            yield word, cells[places].mean(axis=0)
