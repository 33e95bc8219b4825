"""The reranker ``adamatch``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.pairs import Side, text_asks
from crossrank.plugin.parts import Part, as_box, evidence, link, parts_of
from crossrank.plugin.torch_device import device_of
from crossrank_adamatch.gallery import Patches, Pictures, prepared
from crossrank_adamatch.grids import read_grids
from crossrank_adamatch.parameters import AdaMatchParameters
from crossrank_adamatch.patches import PatchSource, Windows
from crossrank_filip.interaction import MeanOver, late_interaction

logger = logging.getLogger(__name__)


class AdaMatchReranker(cr.Reranker):
    """Compares every word with patches that have a size and a place of their own.

    The score is FILIP's: the mean over words of the best patch for a text query, the mean over
    patches of the best word for an image query.  The patches are windows of several scales over
    the grid of the image's tokens; those of a gallery are made once and kept.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="adamatch",
        summary="each word's best patch among patches of several sizes; the box is the evidence",
        paper="AdaMatch, Fine-grained Image-text Alignment in Medical Imaging, ACL 2024",
        query_features=("tokens",),
        candidate_features=("tokens",),
        explain_features=("token_text",),
        directions=("t2i", "i2t"),
        single_threaded=True,
        extra="adamatch",
    )
    Parameters: ClassVar[type] = AdaMatchParameters
    params: AdaMatchParameters

    def source(self) -> PatchSource:
        """Return what makes the patches."""
        return Windows(tuple(self.params.sizes))

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return the tokens, and the images' boxes where they are there to tell the grid.

        Raises
        ------
        MissingFeatureError
            If nothing tells the grid.
        """
        images = context.images
        of_images: tuple[str, ...] = ("tokens",)
        if "token_boxes" in images.collection:
            of_images = ("tokens", "token_boxes")
        elif self.params.grid is None and _has_tokens(images):
            read_grids(images.collection, images.rows, None)
        if text_asks(context.direction):
            return cr.Needs(("tokens",), of_images, of_images[1:])
        return cr.Needs(of_images, ("tokens",), of_images[1:])

    def prepare(self, context: cr.Context) -> Patches:
        """Refuse tokens that cannot be compared, then make the patches of the run's pictures."""
        device = device_of("adamatch", context.device, "adamatch")
        for side in (context.texts, context.images):
            _check_tokens(side)
        pictures = Pictures.of(context.images, self.source(), self.params.grid)
        _check_patches(pictures, context.texts)
        return prepared(context, pictures, self.params.prune, device)

    def score(self, block: cr.Block, state: Patches) -> cr.Scores:
        """Return the mean over one side's tokens of their best product with the other's."""
        asked, listed, index = block.queries["tokens"], state.tokens, block.index
        if text_asks(block.direction):
            index = state.place[block.candidate_rows[index]] if len(block.candidates) else index
        else:
            asked = state.tokens.take(state.place[block.query_rows])
            listed = block.candidates["tokens"]
        interact = late_interaction if state.device is None else _interaction_on(state.device)
        scored = [
            interact(asked, listed, index, block.mask, mean_over=side)
            for side in self._mean_over(block.direction)
        ]
        return cr.Scores(np.mean(scored, axis=0).astype(np.float32, copy=False))

    def explain(self, block: cr.Block, state: Patches) -> Sequence[cr.Evidence]:
        """Return for each pair a link per word to its best patch, whichever asks for which."""
        pairs = block.pairs()
        texts, words_ask = block.texts, text_asks(block.direction)

        def links(pair: int) -> Iterator[cr.Link]:
            text, picture = int(pairs.texts[pair]), int(state.place[pairs.image_rows[pair]])
            words = np.asarray(texts["tokens"][text], np.float32)
            said = parts_of(texts, text, len(words))
            similarities = words @ state.tokens[picture].T
            for word, patch in enumerate(similarities.argmax(axis=1).tolist()):
                seen = Part(str(patch), as_box(state.boxes[picture][patch]))
                yield link(said[word], seen, similarities[word, patch], asks=words_ask)

        return evidence(block, self.score(block, state), links)

    def _mean_over(self, direction: str) -> tuple[MeanOver, ...]:
        """Return the sides to average over; the scores of several are averaged."""
        mode = self.params.mode
        if mode == "both":
            return ("queries", "candidates")
        return ("queries",) if mode in ("auto", direction) else ("candidates",)


def _interaction_on(device: str) -> Any:
    from crossrank_filip.device_kernel import late_interaction_on

    return partial(late_interaction_on, device)


def _has_tokens(side: Side) -> bool:
    return "tokens" in side.collection and isinstance(side.collection["tokens"], cr.Ragged)


def _check_tokens(side: Side) -> None:
    """Refuse items that have nothing to compare."""
    modality, tokens = side.collection.modality, side.collection["tokens"]
    if not isinstance(tokens, cr.Ragged):
        raise InputError(
            f"adamatch: the {modality}s' tokens are no crossrank.Ragged; give Ragged(flat "
            "[rows, D], lengths), for an array [N, L, D] Ragged(array.reshape(N * L, D), [L] * N)"
        )
    empty = side.rows[tokens.lengths[side.rows] == 0]
    if len(empty):
        raise InputError(
            f"adamatch: the {modality} {side.collection.ids[empty[0]]!r} has no token, so there is "
            "nothing to compare; leave it out, or encode it again"
        )


def _check_patches(pictures: Pictures, texts: Side) -> None:
    """Refuse pictures without a patch, and words that cannot be multiplied with patches."""
    images = pictures.side
    bare = np.flatnonzero(pictures.counts == 0)
    if len(bare):
        raise InputError(
            f"adamatch: every window is larger than the grid of the image "
            f"{images.ids[int(bare[0])]!r}; add 1 to sizes"
        )
    word = texts.collection["tokens"].trailing
    if len(images) and len(texts) and word != (pictures.dim,):
        raise FeatureMismatchError(
            f"adamatch: the texts' tokens have size {word}, the images' patches {pictures.dim}; "
            "encode both with the same encoder"
        )
    alone = sum(grid is None for grid in pictures.grids)
    if alone:
        logger.warning(
            "adamatch: the token_boxes of %d of %d images form no grid; their tokens stay alone",
            alone,
            len(images),
        )
