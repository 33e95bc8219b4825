"""What differs between families of models: how pictures become tokens, and where tokens stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import ImageError, ParameterError
from crossrank.plugin.parts import Box, grid_boxes
from crossrank_clip.boxes import place, seen_window
from crossrank_vlm.pixels import Pixels

Rows = NDArray[np.int64]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VICUNA = (
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}ASSISTANT: {% elif message.role != 'system' %}USER: "
    "{% endif %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<image>\n{% else %}"
    "{{ part.text }}{% endif %}{% endfor %}{% endif %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


class Family:
    """A family whose pictures all become squares of equally many tokens: LLaVA."""

    placeholder = "<image>"
    template = VICUNA

    def __init__(self, config: Any, pictures: Any) -> None:
        self.config, self.pictures = config, pictures
        self.pixels = Pixels(pictures)

    @property
    def image_token(self) -> int:
        """The number of the token that stands for a part of a picture."""
        return int(self.config.image_token_id)

    def limit(self, least: int | None, most: int | None, tokens: tuple[int, int] | None) -> None:
        """Set the fewest and the most pixels of a picture."""
        if least is not None or most is not None:
            raise ParameterError(
                "vlm: min_pixels and max_pixels are for families that keep a picture's shape; "
                f"a model of type {self.config.model_type!r} does not, so leave them out"
            )

    def shrinks(self, size: tuple[int, int]) -> bool:
        """Return whether a picture, of width and height, has more pixels than are looked at."""
        return False

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return rows and columns of a picture's tokens."""
        return self._side, self._side

    @cached_property
    def _side(self) -> int:
        vision = self.config.vision_config
        return int(vision.image_size) // int(vision.patch_size)

    def count(self, size: tuple[int, int]) -> int:
        """Return how many tokens a picture takes."""
        rows, columns = self.grid(size)
        return rows * columns + self._whole

    @cached_property
    def _whole(self) -> int:
        """A token for the picture as a whole, or none."""
        return int(self.config.vision_feature_select_strategy == "full")

    def positions(self, ids: Rows, grids: Sequence[tuple[int, int]]) -> Rows:
        """Return the positions of tokens ``[L]``, or ``[3, L]``."""
        return np.arange(len(ids))

    def boxes(self, size: tuple[int, int]) -> list[Box]:
        """Return where a picture's tokens lie in it."""
        frame = seen_window(*size, self.pictures)
        placed = np.clip(place(grid_boxes(*self.grid(size)), frame), 0, 1)
        boxes = [(float(a), float(b), float(c), float(d)) for a, b, c, d in placed]
        extra = self.count(size) - len(boxes)
        return [(0.0, 0.0, 1.0, 1.0)] * extra + boxes


class QwenFamily(Family):
    """Pictures keep their shape, and positions have three axes."""

    placeholder = "<|vision_start|><|image_pad|><|vision_end|>"
    template = CHATML

    @property
    def _factor(self) -> int:
        return int(self.pictures.patch_size) * int(self.pictures.merge_size)

    def limit(self, least: int | None, most: int | None, tokens: tuple[int, int] | None) -> None:
        """See `Family.limit`; limits in tokens are of 32 × 32 pixels, as released models have."""
        if tokens is not None and self._factor == 32:
            least = tokens[0] * 1024 if least is None else least
            most = tokens[1] * 1024 if most is None else most
        limits = {"shortest_edge": least, "longest_edge": most}
        given = {edge: pixels for edge, pixels in limits.items() if pixels is not None}
        # here these two are numbers of pixels, whatever they are called
        self.pictures.size = {**dict(self.pictures.size), **given}

    @property
    def _limits(self) -> tuple[int, int]:
        size = dict(self.pictures.size)
        return int(size["shortest_edge"]), int(size["longest_edge"])

    def shrinks(self, size: tuple[int, int]) -> bool:
        """See `Family.shrinks`."""
        return size[0] * size[1] > self._limits[1]

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """See `Family.grid`."""
        try:
            from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize
        except ImportError:  # before transformers 5
            from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

        width, height = size
        least, most = self._limits
        try:
            high, wide = smart_resize(height, width, self._factor, least, most)
        except ValueError as error:
            raise ImageError(
                f"vlm: a picture of {width} × {height} pixels cannot be read by this model: "
                f"{error}; crop it, or leave it out"
            ) from error
        return high // self._factor, wide // self._factor

    def count(self, size: tuple[int, int]) -> int:
        """See `Family.count`."""
        rows, columns = self.grid(size)
        return rows * columns

    def positions(self, ids: Rows, grids: Sequence[tuple[int, int]]) -> Rows:
        """Return ``[3, L]``: time, row and column; a text counts on in all three.

        A picture's tokens begin where the text before it ends, and the text behind it goes on
        after its longer side (Wang et al., Qwen2-VL, 2024, M-RoPE).
        """
        found = np.empty((3, len(ids)), np.int64)
        starts = np.flatnonzero(ids == self.image_token)
        at, next_position, left = 0, 0, list(grids)
        while at < len(ids):
            first = starts[np.searchsorted(starts, at)] if (starts >= at).any() else len(ids)
            run = int(first) - at
            found[:, at : at + run] = next_position + np.arange(run)
            at, next_position = at + run, next_position + run
            if at < len(ids):
                rows, columns = left.pop(0)
                size = rows * columns
                cells = np.arange(size)
                found[0, at : at + size] = next_position
                found[1, at : at + size] = next_position + cells // columns
                found[2, at : at + size] = next_position + cells % columns
                at, next_position = at + size, next_position + max(rows, columns)
        return found

    def boxes(self, size: tuple[int, int]) -> list[Box]:
        """See `Family.boxes`."""
        placed = grid_boxes(*self.grid(size))
        return [(float(a), float(b), float(c), float(d)) for a, b, c, d in placed]


FAMILIES: Mapping[str, type[Family]] = {
    "llava": Family,
    "qwen2_5_vl": QwenFamily,
    "qwen2_vl": QwenFamily,
    "qwen3_vl": QwenFamily,
}
"""By the ``model_type`` of config.json."""
