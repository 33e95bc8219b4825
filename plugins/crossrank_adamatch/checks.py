"""What cannot be compared, refused before any work."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.pairs import Side
from crossrank_adamatch.gallery import Pictures

if TYPE_CHECKING:
    from crossrank_adamatch.network import Sizes

logger = logging.getLogger(__name__)


def check_parts(side: Side, feature: str) -> None:
    """Refuse items that have nothing to compare."""
    modality, parts = side.collection.modality, side.collection[feature]
    if not isinstance(parts, cr.Ragged):
        raise InputError(
            f"adamatch: the {modality}s' {feature} are no crossrank.Ragged; give Ragged(flat "
            "[rows, D], lengths), for an array [N, L, D] Ragged(array.reshape(N * L, D), [L] * N)"
        )
    empty = side.rows[parts.lengths[side.rows] == 0]
    if len(empty):
        raise InputError(
            f"adamatch: the {modality} {side.collection.ids[empty[0]]!r} has no "
            f"{feature.removesuffix('s')}, so there is nothing to compare; leave it out, or encode "
            "it again"
        )


def check_windows(pictures: Pictures, texts: Side) -> None:
    """Refuse pictures without a window, and words that cannot be multiplied with windows."""
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
            f"adamatch: the texts' tokens have size {word}, the images' {pictures.dim}; encode "
            "both with the same encoder"
        )
    alone = sum(grid is None for grid in pictures.grids)
    if alone:
        logger.warning(
            "adamatch: the token_boxes of %d of %d images form no grid; their tokens stay alone",
            alone,
            len(images),
        )


def check_encoded(sizes: Sizes, pictures: Pictures, texts: Side) -> None:
    """Refuse features of another encoder than the network's, and pictures without a grid."""
    for side, feature, size in (
        (pictures.side, sizes.cells, sizes.cell),
        (texts, sizes.words, sizes.word),
    ):
        collection = side.collection
        found = collection[feature].trailing
        if len(side) and found != (size,):
            raise FeatureMismatchError(
                f"adamatch: the {collection.modality}s' {feature} have size {found}, the weights "
                f"are for ({size},); encode them as the weights were trained"
            )
        if sizes.encoder and collection.encoder not in (None, sizes.encoder):
            raise FeatureMismatchError(
                f"adamatch: the {collection.modality}s were encoded with {collection.encoder}, the "
                f"weights were trained on {sizes.encoder}; encode them so, or train weights for "
                "this encoder with research/train_adamatch.py"
            )
    bare = np.flatnonzero(pictures.counts == 0)
    if len(bare):
        raise InputError(
            f"adamatch: the cells of the image {pictures.side.ids[int(bare[0])]!r} form no grid, "
            "over which alone the network moves patches; give its boxes, or no weights"
        )
