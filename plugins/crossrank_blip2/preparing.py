"""What a run has: its images, its texts, and how much fits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import ImageError, InputError
from crossrank.plugin.cached_array import scratch_array
from crossrank.plugin.pairs import Side
from crossrank_blip2.backend import Backend
from crossrank_blip2.contents import content_digest
from crossrank_blip2.state import Images, Room, Texts
from crossrank_blip2.texts import prepare_text

FLOAT_BYTES = 4

logger = logging.getLogger(__name__)


def images_of(images: Side, on_picture: str = "raise") -> Images:
    """Return the images of a side, with "abstain" those that can be read.

    Raises
    ------
    ImageError
        If a file is missing.
    InputError
        If an image has no path.
    """
    paths, rows = _written(images, "path"), images.rows
    broken = np.zeros(len(rows), np.bool_)
    if on_picture == "abstain":
        broken = np.array([not _readable(path) for path in paths], np.bool_)
        paths = tuple(path for path, lost in zip(paths, broken, strict=True) if not lost)
    sound = Side(images.collection, rows[~broken])
    place = sound.places
    place[rows[broken]] = -1
    keys = tuple(content_digest(Path(path)) for path in paths)
    return Images(sound.rows, paths, keys, place)


def _readable(path: str) -> bool:
    try:
        cr.open_image(Path(path))
    except ImageError as error:
        logger.warning("blip2: %s; its pairs are left to the other stages", error)
        return False
    return True


def texts_of(backend: Backend, texts: Side) -> Texts:
    """Return the texts of a side, as tokens."""
    written = _written(texts, "text")
    tokens = backend.tokenise(written)
    wordless = np.array([not prepare_text(text)[0] for text in written], np.bool_)
    return Texts(tokens, tokens.lengths.numpy(), wordless, texts.places)


def image_bytes(backend: Backend) -> int:
    """Return the most bytes that the vision output of an image takes."""
    return FLOAT_BYTES * int(np.prod(backend.embeds_shape))


def room_of(backend: Backend, memory_budget: int, batch_size: int) -> Room:
    """Return how much goes at once through a model of this size, within a budget in bytes.

    Keys, values and attention of a pair take at most twice as much as its vision output in a layer,
    and a vision encoder some thirty times that.
    """
    tokens, image = backend.embeds_shape[0], image_bytes(backend)
    kept = sum(
        linear.out_features
        for each in backend.cross_attentions
        for linear in (each.key, each.value)
    )
    return Room(
        images=min(batch_size, max(1, memory_budget // (32 * image))),
        pairs=min(batch_size, max(1, memory_budget // (8 * image))),
        texts=batch_size,
        features=max(1, memory_budget // (4 * image)),
        shared=max(1, memory_budget // (4 * (image + FLOAT_BYTES * tokens * kept))),
        scratch=memory_budget // 4,
    )


def _written(side: Side, feature: str) -> tuple[str, ...]:
    """Return a feature that is a str for every item."""
    values = tuple(side.collection[feature][row] for row in side.rows)
    for id, value in zip(side.ids, values, strict=True):
        if not isinstance(value, str):
            raise InputError(
                f"blip2: the {feature} of {side.collection.modality} {id!r} is {value!r}; give a "
                "str"
            )
    return values


def gathered(parts: Sequence[NDArray[np.float32]], most_bytes: int) -> NDArray[np.float32]:
    """Join arrays, in memory or, where they take too much of it, in a file without a name."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    joined = scratch_array(shape, most_bytes)
    np.concatenate(parts, out=joined)
    return joined
