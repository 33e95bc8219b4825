"""The reranker ``qperturb``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.pairs import text_asks
from crossrank.plugin.parts import evidence
from crossrank_blip2 import Blip2Reranker
from crossrank_blip2.state import Blip2State
from crossrank_qperturb.objects import Objects, objects_of
from crossrank_qperturb.parameters import QPerturbParameters
from crossrank_qperturb.remembering import Remembered

if TYPE_CHECKING:
    from torch import Tensor

    from crossrank_blip2.passes import Embeds
    from crossrank_qperturb.explaining import Look
    from crossrank_qperturb.matrices import Perturbation

Rows = NDArray[np.int64]

SHARE = 8
"""The matrices of images take this part of the memory budget; BLIP-2 leaves more than that."""


class QPerturbReranker(Blip2Reranker):
    """BLIP-2, its queries perturbed towards the objects of each image.

    Everything is as in `Blip2Reranker`, but that in every cross-attention ``Q' = Q + Q M``, with M
    from the boxes of the image.  An image without boxes has exactly BLIP-2's scores.

    References
    ----------
    "Object-Aware Query Perturbation for Cross-Modal Image-Text Retrieval", ECCV 2024.
    """

    info: ClassVar[cr.RerankerInfo] = replace(
        Blip2Reranker.info,
        name="qperturb",
        summary="BLIP-2 that looks at the objects of an image: its queries perturbed, untrained",
        paper="Object-Aware Query Perturbation, ECCV 2024",
        candidate_features=("path", "boxes"),
        explain_features=("labels",),
        extra="qperturb",
    )
    Parameters: ClassVar[type] = QPerturbParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._remembered = Remembered(0)

    def image_features(self, images: cr.Collection) -> tuple[str, ...]:
        """Return boxes, and their scores where the best are to be taken."""
        return ("boxes",) if self.params.top_n is None else ("boxes", "box_scores")

    def extra_state(self, context: cr.Context, images: cr.Collection, rows: Rows) -> Objects:
        """Return the boxes that are used."""
        self._remembered.clear(context.memory_budget // SHARE)
        return objects_of(images, rows, self.params.top_n)

    def intervention(
        self, state: Blip2State, image_rows: Rows, image_embeds: Embeds
    ) -> AbstractContextManager[None]:
        """Return the perturbation of these images; see `Blip2Reranker.intervention`."""
        from crossrank_qperturb.perturbing import perturbed

        made = self._perturbation(state, state.images.place[image_rows], image_embeds)
        return perturbed(self.backend(state).model, made)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return per pair where the queries look, without and with the perturbation.

        Its links tell which part of the attention lies in each box.  For ITM the queries look at
        the image together with the text, for ITC alone.
        """
        pairs, asks = block.pairs(), text_asks(block.direction)
        images, texts = state.places(pairs)
        found: list[cr.Evidence] = []
        bare = iter(evidence(block, self.score(block, state)))
        for start in range(0, len(pairs), state.room.pairs):
            part = slice(start, start + state.room.pairs)
            looks = self._looks(state, images[part], texts[part])
            for look, place, row in zip(looks, images[part], pairs.images[part], strict=True):
                names = _names(block.images, row, state.extra.numbers[place])
                links = look.links(state.extra.boxes[place], names, asks)
                found.append(replace(next(bare), links=links, maps=look.maps()))
        return found

    def _perturbation(self, state: Blip2State, places: Rows, image_embeds: Embeds) -> Perturbation:
        """Return the perturbation of a batch, in which an image may stand more than once."""
        from crossrank_qperturb.matrices import Perturbation

        distinct, first, row_of = np.unique(places, return_index=True, return_inverse=True)
        keys = [
            (state.images.keys[place], state.extra.boxes[place].tobytes()) for place in distinct
        ]
        known: dict[tuple[str, bytes], Perturbation] = {}
        absent: dict[tuple[str, bytes], int] = {}
        for number, key in enumerate(keys):
            remembered = self._remembered.get(key)
            if remembered is None:
                absent[key] = number
            else:
                known[key] = remembered
        if absent:
            numbers = list(absent.values())
            boxes = [state.extra.boxes[place] for place in distinct[numbers]]
            made = self._computed(state, image_embeds(first[numbers]), boxes)
            for row, key in enumerate(absent):
                known[key] = made.take([row])
                self._remembered.put(key, known[key])
        return Perturbation.join([known[key] for key in keys]).take(row_of)

    def _computed(
        self, state: Blip2State, image_embeds: Tensor, boxes: Sequence[NDArray[np.float64]]
    ) -> Perturbation:
        from crossrank_qperturb.perturbing import perturbation

        params = self.params
        return perturbation(
            self.backend(state).model,
            image_embeds,
            boxes,
            alpha=params.alpha,
            n_pc=params.n_pc,
            weighting=params.weighting,
            projector=params.projector,
            preserve_norm=params.preserve_norm,
            coverage=params.coverage,
            most_boxes=max(len(each) for each in boxes),
        )

    def _looks(self, state: Blip2State, images: Rows, texts: Rows) -> list[Look]:
        from crossrank_qperturb.explaining import looks

        backend = self.backend(state)
        embeds = self._vision(state).embeds(images)
        tokens = state.texts.tokens.take(texts)

        def run() -> None:
            if "itm" in self.params.score:
                backend.itm_logits(embeds, tokens)
            else:
                backend.image_queries(embeds)

        made = self._perturbation(state, images, embeds.__getitem__)
        return looks(backend.model, embeds, run, made)


def _names(images: cr.Collection, row: int, numbers: Rows) -> list[str]:
    """Return what some boxes of an image show, or their numbers."""
    if "labels" in images:
        labels = images["labels"][row]
        return [str(labels[number]) if number < len(labels) else str(number) for number in numbers]
    return [str(number) for number in numbers]
