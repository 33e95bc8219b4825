"""From a picture to what the vision tower takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrank_clip.boxes import resized

if TYPE_CHECKING:
    from torch import Tensor

Levels: TypeAlias = NDArray[np.float32]
Seen: TypeAlias = "NDArray[np.uint8] | dict[str, Tensor]"
"""Pixels ``[1, H, W, 3]``, or what a processor has made of them."""

TAKEN = ("pixel_values", "image_grid_thw")
"""Of what a processor returns."""

PROBES = ((61, 47), (47, 61), (40, 40), (700, 500))
"""Width and height of pictures on which both ways must agree to the bit."""


class Pixels:
    """Makes a model's inputs of a picture, as an image processor of transformers does.

    Where that only resizes, crops and scales, the same is done here without its bookkeeping: with
    Pillow, and with a table of what the processor makes of each of 256 levels.

    Parameters
    ----------
    processor
        The one of the checkpoint, with Pillow behind it.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def seen(self, picture: Image.Image) -> Seen:
        """Return what the model sees of an upright RGB picture."""
        found = None if self._levels is None else self._cut(picture)
        return self._processed(picture) if found is None else found

    def inputs(self, seen: Sequence[Seen]) -> dict[str, Tensor]:
        """Return the inputs of some pictures as they are seen, together."""
        import torch

        plain = [each for each in seen if isinstance(each, np.ndarray)]
        if len(plain) == len(seen):  # one look at the table for all
            seen = [np.concatenate(plain)]
        parts = [each if isinstance(each, dict) else self._valued(each) for each in seen]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _valued(self, seen: NDArray[np.uint8]) -> dict[str, Tensor]:
        import torch

        # seen as pixels, so there is a table
        return {"pixel_values": torch.from_numpy(_values(cast("Levels", self._levels), seen))}

    def _processed(self, picture: Image.Image, **options: bool) -> dict[str, Tensor]:
        found = self._processor(
            [np.asarray(picture)],
            # else a picture 3 pixels high could be taken for one of 3 channels
            input_data_format="channels_last",
            do_convert_rgb=False,
            return_tensors="pt",
            **options,
        )
        return {name: found[name] for name in found if name in TAKEN}

    def _cut(self, picture: Image.Image) -> NDArray[np.uint8] | None:
        """Return ``[1, H, W, 3]``, None where a crop would have to be padded."""
        size = resized(*picture.size, self._settings)
        seen = np.asarray(picture.resize(size, self._settings.resample))
        if self._settings.do_center_crop:
            wide, high = self._settings.crop_size["width"], self._settings.crop_size["height"]
            if wide > size[0] or high > size[1]:
                return None
            left, top = (size[0] - wide) // 2, (size[1] - high) // 2
            seen = seen[top : top + high, left : left + wide]
        return seen[None]

    @cached_property
    def _settings(self) -> Any:
        """The processor's, which itself takes its time to tell them."""
        return SimpleNamespace(
            do_resize=bool(getattr(self._processor, "do_resize", False)),
            do_center_crop=bool(getattr(self._processor, "do_center_crop", False)),
            resample=getattr(self._processor, "resample", None),
            size=dict(getattr(self._processor, "size", None) or {}),
            crop_size=dict(getattr(self._processor, "crop_size", None) or {}),
        )

    @cached_property
    def _levels(self) -> Levels | None:
        """What becomes of each level ``[3, 256]``; None where the processor does other things."""
        if not self._settings.do_resize:
            return None
        if set(self._settings.size) not in ({"shortest_edge"}, {"height", "width"}):
            return None
        grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
        plain = self._processed(grey, do_resize=False, do_center_crop=False)
        levels: Levels = plain["pixel_values"].numpy().reshape(3, 256)
        rng = np.random.default_rng(0)
        for width, height in PROBES:
            probe = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
            seen, theirs = self._cut(probe), self._processed(probe)["pixel_values"].numpy()
            if seen is not None and not np.array_equal(_values(levels, seen), theirs):
                return None
        return levels


def _values(levels: Levels, seen: NDArray[np.uint8]) -> Levels:
    """Return what becomes of pixels ``[N, 3, H, W]``."""
    return np.stack([row[seen[..., channel]] for channel, row in enumerate(levels)], axis=1)
