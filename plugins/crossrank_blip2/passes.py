"""What goes through the model: images, texts and pairs, in batches that fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank_blip2.backend import Backend
from crossrank_blip2.batches import Batches, by_length, slices
from crossrank_blip2.preparing import gathered
from crossrank_blip2.shared_keys import SharedKeys
from crossrank_blip2.state import Blip2State
from crossrank_blip2.vision import Vision

if TYPE_CHECKING:
    from torch import Tensor

Rows = NDArray[np.int64]

Embeds: TypeAlias = "Callable[[Rows], Tensor]"
"""Returns the vision output ``[n, N, D]`` of n rows of a batch: large, and seldom needed."""

Intervention: TypeAlias = Callable[[Rows, Embeds], AbstractContextManager[None]]
"""Surrounds a pass over the images of these rows of the run's collection."""


class Passes:
    """The passes of one run through its model.

    Parameters
    ----------
    backend, state
        The model, and what the run has.
    vision
        Where the vision output of its images comes from.
    limits
        See `Batches`.
    intervention
        Surrounds every pass with cross-attention.
    """

    def __init__(
        self,
        backend: Backend,
        state: Blip2State,
        vision: Vision,
        limits: dict[str, int],
        intervention: Intervention,
    ) -> None:
        self._backend, self._state, self._vision = backend, state, vision
        self._limits, self._intervention = limits, intervention

    def see(self, reach: Callable[[int], None]) -> None:
        """Compute the vision output of all images that is not in the store."""
        for places in slices(len(self._state.images.rows), self._state.room.features):
            self._vision.embeds(places)
            reach(int(places[-1]) + 1)

    def image_queries(self, reach: Callable[[int], None]) -> NDArray[np.float32]:
        """Return ``[N, queries, P]`` of all images, for ITC."""
        rows, room = self._state.images.rows, self._state.room
        batches = Batches("images", room.images, self._limits)
        parts: list[NDArray[np.float32]] = []
        for places in slices(len(rows), room.features):
            embeds = self._vision.embeds(places)
            reach(int(places[-1]) + 1)

            def queries(
                batch: Rows, embeds: Tensor = embeds, places: Rows = places
            ) -> NDArray[np.float32]:
                part = embeds[batch]
                with self._intervention(rows[places[batch]], part.__getitem__):
                    return self._backend.image_queries(part).cpu().numpy()

            parts += [made for _, made in batches.run(np.arange(len(places)), queries)]
        return gathered(parts, room.scratch)

    def text_embeddings(self) -> NDArray[np.float32]:
        """Return ``[M, P]`` of all texts, for ITC."""
        texts = self._state.texts
        order = by_length(texts.lengths)

        def embeddings(batch: Rows) -> NDArray[np.float32]:
            return self._backend.text_embedding(texts.tokens.take(batch)).cpu().numpy()

        batches = Batches("texts", self._state.room.texts, self._limits)
        made = [part for _, part in batches.run(order, embeddings)]
        return np.concatenate(made)[np.argsort(order)]

    def itm_logits(
        self, images: Rows, texts: Rows, add: Callable[[int], None]
    ) -> NDArray[np.float32]:
        """Return ``[P]`` the matching logits of pairs: some images at a time, texts by length."""
        state, room = self._state, self._state.room
        batches = Batches("pairs of an image and a text", room.pairs, self._limits)
        logits = np.zeros(len(images), np.float32)
        distinct, local, counts = np.unique(images, return_inverse=True, return_counts=True)
        for places in _together(counts, room.shared, room.pairs):
            embeds = self._vision.embeds(distinct[places])
            shared = SharedKeys(
                self._backend.cross_attentions, embeds, keep=len(places) <= room.shared
            )
            here = np.flatnonzero((local >= places[0]) & (local <= places[-1]))
            order = here[by_length(state.texts.lengths[texts[here]], images[here], texts[here])]

            def match(
                batch: Rows,
                embeds: Tensor = embeds,
                shared: SharedKeys = shared,
                first: int = int(places[0]),
            ) -> NDArray[np.float32]:
                rows = local[batch] - first
                tokens = state.texts.tokens.take(texts[batch])
                with (
                    self._intervention(
                        state.images.rows[images[batch]], lambda some: embeds[rows[some]]
                    ),
                    shared.pairs(rows) as given,
                ):
                    return self._backend.itm_logits(given, tokens).cpu().numpy()

            for batch, found in batches.run(order, match):
                logits[batch] = found
                add(len(batch))
        return logits


def _together(counts: Rows, images: int, pairs: int) -> Iterator[Rows]:
    """Yield consecutive images: so many, or more if their pairs fit into one batch.

    Parameters
    ----------
    counts
        ``[n]`` the pairs of each image.
    images
        How many images may have their keys and values kept.
    pairs
        How many pairs make a batch.
    """
    start, taken = 0, 0
    for place, count in enumerate(counts):
        if place - start >= images and taken + count > pairs:
            yield np.arange(start, place)
            start, taken = place, 0
        taken += count
    if start < len(counts):
        yield np.arange(start, len(counts))
