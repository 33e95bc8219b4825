"""Pictures in, features out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from crossrank import Feature, Ragged
from crossrank.plugin.parts import grid_boxes
from crossrank_clip.boxes import crops_ends, original_boxes, seen_window, shorten
from crossrank_clip.checkpoint import Loaded
from crossrank_clip.towers import project_patches, see_images, to_array, to_ragged, unit


def encode_pictures(
    checkpoint: Loaded, pictures: Iterable[Image.Image], features: Sequence[str]
) -> dict[str, Feature]:
    """Return features of some pictures, of which one at a time is held at its full size.

    Returns
    -------
    dict
        ``embedding`` ``[N, D]`` and ``tokens`` ragged ``[L_n, D]``, unit rows; ``regions`` ragged
        ``[L_n, H]``, the patches' raw states; ``token_boxes`` and ``boxes`` ragged ``[L_n, 4]``,
        where they lie in the original; all float32.  ``size`` ``[N, 2]`` int64.
    """
    model, processor = checkpoint.model, checkpoint.image_processor
    sizes, shortened, read = [], [], []
    for picture in pictures:
        part, frame = shorten(picture, crops_ends(processor))
        sizes.append(picture.size)
        shortened.append((part.size, frame))
        read.append(_preprocess(processor, part))
    inputs = {name: torch.cat([each[name] for each in read]) for name in read[0]}
    seen = see_images(model, {name: each.to(model.device) for name, each in inputs.items()})
    mask = np.ones(seen.states.shape[:2], bool)
    if "pixel_attention_mask" in inputs:
        mask = inputs["pixel_attention_mask"].numpy().astype(bool)

    def boxes() -> Ragged:
        patch = int(model.config.vision_config.patch_size)
        windows = [seen_window(*size, processor) for size, _ in shortened]
        frames = [frame for _, frame in shortened]
        return original_boxes(_grids(inputs, patch, len(sizes)), windows, frames)

    make: dict[str, Callable[[], Feature]] = {
        "embedding": lambda: to_array(unit(seen.pooled)),
        "tokens": lambda: to_ragged(unit(project_patches(model, seen.states)), mask),
        "token_boxes": boxes,
        "regions": lambda: to_ragged(seen.states, mask),
        "boxes": boxes,
        "size": lambda: np.array(sizes, np.int64),
    }
    return {name: make[name]() for name in features}


def _preprocess(processor: Any, picture: Image.Image) -> dict[str, torch.Tensor]:
    return dict(
        processor(
            [np.asarray(picture)],
            # else a picture 3 pixels high could be taken for one of 3 channels
            input_data_format="channels_last",
            do_convert_rgb=False,
            return_tensors="pt",
        )
    )


def _grids(inputs: Mapping[str, torch.Tensor], patch: int, count: int) -> list[NDArray[Any]]:
    """Return the boxes of each picture's patches, in parts of what the model sees."""
    if "spatial_shapes" in inputs:
        return [grid_boxes(rows, columns) for rows, columns in inputs["spatial_shapes"].tolist()]
    height, width = inputs["pixel_values"].shape[-2:]
    rows, columns = height // patch, width // patch
    return [grid_boxes(rows, columns, (columns * patch / width, rows * patch / height))] * count
