"""Items as a model reads them: its own processor's tokens, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrank.errors import ImageError
from crossrank_multivector.boxes import Boxes, image_boxes
from crossrank_multivector.checkpoint import Loaded

UNUSED = ("labels", "mm_token_type_ids")
"""For training, or for generation."""

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Read:
    """One item, read.

    Parameters
    ----------
    inputs
        What the model takes, each tensor ``[1, …]``.
    roles
        ``[L]`` uint8: 1 for a token of the item itself, a patch or a piece of its text; 0 for the
        prompt around it, which counts in scores and has no place in a heat map.
    boxes
        ``[L, 4]``, the whole picture for tokens of the prompt; None for a text.
    texts
        ``[L]`` what each token says; None for a picture.
    """

    inputs: Mapping[str, Any]
    roles: NDArray[np.uint8]
    boxes: Boxes | None = None
    texts: list[str] | None = None


def read_picture(loaded: Loaded, picture: Image.Image) -> Read:
    """Read an upright RGB picture as a document.

    Raises
    ------
    ImageError
        If the family does not take pictures of that shape.
    """
    processor = loaded.processor
    try:
        inputs = dict(processor.process_images(images=[picture], return_tensors="pt"))
    except ValueError as error:  # Qwen's take none longer than 200 times its width
        width, height = picture.size
        raise ImageError(
            f"multivector: a picture of {width} × {height} pixels cannot be read by this model: "
            f"{error}; crop it, or leave it out"
        ) from error
    ids = inputs["input_ids"][0].numpy()
    of_image = ids == processor.image_token_id
    found = image_boxes(loaded.family, processor, inputs, picture.size)
    boxes = np.tile(np.array(WHOLE, np.float32), (len(ids), 1))
    boxes[of_image] = found
    return Read(_used(inputs), of_image.astype(np.uint8), boxes=boxes)


def read_text(loaded: Loaded, text: str) -> Read:
    """Read a text as a query, with the prompt and the augmentation of the family."""
    processor = loaded.processor
    inputs = dict(processor.process_queries(text=[text], return_tensors="pt"))
    ids = inputs["input_ids"][0].tolist()
    begin = processor.tokenizer.bos_token if loaded.family == "colpali" else ""
    start = len(f"{begin}{processor.query_prefix}")
    prompt = f"{begin}{processor.query_prefix}{text}"
    prompt += processor.query_augmentation_token * 10
    prompt += "" if loaded.family == "colmodernvbert" else "\n"
    spans = _spans(processor.tokenizer, prompt, ids)
    if spans is None:  # a tokenizer that keeps no offsets, or a processor of another version
        texts = [str(processor.tokenizer.decode([id])).strip() for id in ids]
        return Read(_used(inputs), np.ones(len(ids), np.uint8), texts=texts)
    inside = [start < last and first < start + len(text) for first, last in spans]
    texts = [prompt[first:last].strip() for first, last in spans]
    return Read(_used(inputs), np.array(inside, np.uint8), texts=texts)


def _spans(tokenizer: Any, prompt: str, ids: list[int]) -> list[tuple[int, int]] | None:
    if not tokenizer.is_fast:
        return None
    found = tokenizer(prompt, return_offsets_mapping=True)
    return list(found["offset_mapping"]) if list(found["input_ids"]) == ids else None


def _used(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in inputs.items() if name not in UNUSED}
