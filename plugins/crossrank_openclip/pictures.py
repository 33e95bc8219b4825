"""Pictures in, features out.

The towers of open_clip end in different heads: a class token, a mean, an attention pool, each with
layers around it.  A patch's token is what the head makes of a picture that consists of this patch
alone: for a class token or a mean with a linear projection that is the patch's projection, for
an attention pool its value path (the idea of MaskCLIP, Zhou et al., ECCV 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from crossrank import Feature, Ragged
from crossrank.errors import MissingFeatureError
from crossrank.plugin.parts import grid_boxes
from crossrank_clip.boxes import original_boxes
from crossrank_clip.towers import to_array, to_ragged, unit
from crossrank_openclip.checkpoint import Checkpoint

PATCHES_AT_ONCE = 4096
"""How many patches go through a head at once: an attention pool makes hundreds of rows of each."""


def encode_pictures(
    checkpoint: Checkpoint, pictures: Iterable[Image.Image], features: Sequence[str]
) -> dict[str, Feature]:
    """Return features of some pictures; see `crossrank_clip.pictures.encode_pictures`."""
    preparing = checkpoint.preprocessing
    sizes, shortened, applied = [], [], []
    for picture in pictures:
        part, frame = preparing.shorten(picture)
        sizes.append(picture.size)
        shortened.append((part.size, frame))
        applied.append(preparing.apply(part))
    images = torch.from_numpy(np.stack(applied)).to(checkpoint.device, checkpoint.dtype)
    tower = tower_of(checkpoint.model.visual)
    with torch.inference_mode():
        pooled, states, (rows, columns) = tower.see(images)
        count = rows * columns
        every = np.ones((len(sizes), count), bool)

        def boxes() -> Ragged:
            grids = [grid_boxes(rows, columns, tower.covered)] * len(sizes)
            windows = [preparing.window(*size) for size, _ in shortened]
            return original_boxes(grids, windows, [frame for _, frame in shortened])

        def tokens() -> Ragged:
            alone = torch.split(states.reshape(-1, states.shape[-1]), PATCHES_AT_ONCE)
            projected = torch.cat([unit(tower.alone(each)) for each in alone])
            return to_ragged(projected.reshape(len(sizes), count, -1), every)

        make: dict[str, Callable[[], Feature]] = {
            "embedding": lambda: to_array(unit(pooled)),
            "tokens": tokens,
            "token_boxes": boxes,
            "regions": lambda: to_ragged(states, every),
            "boxes": boxes,
            "size": lambda: np.array(sizes, np.int64),
        }
        return {name: make[name]() for name in features}


class Tower:
    """An image tower of open_clip.

    Parameters
    ----------
    visual
        ``model.visual``.
    """

    covered = (1.0, 1.0)
    """The part of the input's width and height that the patches cover."""

    def __init__(self, visual: Any) -> None:
        self.visual = visual

    def see(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Return the pooled ``[N, D]``, the patches' states ``[N, L, H]``, and rows and columns."""
        raise NotImplementedError

    def alone(self, states: Tensor) -> Tensor:
        """Carry the states of patches ``[M, H]`` to the joint space, ``[M, D]``."""
        raise NotImplementedError


class Transformer(Tower):
    """open_clip's own vision transformer; its patches may leave a margin at right and bottom."""

    def __init__(self, visual: Any) -> None:
        super().__init__(visual)
        (height, width), (high, wide) = visual.image_size, visual.patch_size
        self.covered = (width // wide * wide / width, height // high * high / height)

    def see(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """See `Tower.see`."""
        seen = self.visual.forward_intermediates(images, indices=1, output_fmt="NLC")
        return seen["image_features"], seen["image_intermediates"][-1], self.visual.grid_size

    def alone(self, states: Tensor) -> Tensor:
        """See `Tower.alone`: the patch stands for the class token, too."""
        pooled, _ = self.visual._pool(states[:, None].expand(-1, 2, -1))
        projected: Tensor = pooled @ self.visual.proj
        return projected


class ResNet(Tower):
    """OpenAI's ResNet, which ends in an attention pool with a position per cell."""

    def see(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """See `Tower.see`; a cell's state has its position in it."""
        seen = self.visual.forward_intermediates(images, indices=1)
        grid = seen["image_intermediates"][-1]
        positions = self.visual.attnpool.positional_embedding[1:].to(grid.dtype)
        return seen["image_features"], grid.flatten(2).mT + positions, tuple(grid.shape[2:])

    def alone(self, states: Tensor) -> Tensor:
        """See `Tower.alone`: attention over one cell is its value."""
        pool = self.visual.attnpool
        projected: Tensor = pool.c_proj(pool.v_proj(states))
        return projected


class Timm(Tower):
    """A network of timm, whose features are ``[N, L, H]``, ``[N, H, h, w]`` or ``[N, h, w, H]``."""

    def __init__(self, visual: Any) -> None:
        super().__init__(visual)
        self.prefix = int(getattr(visual.trunk, "num_prefix_tokens", 0))
        self.channels_last = getattr(visual.trunk, "output_fmt", "NCHW") == "NHWC"

    def see(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """See `Tower.see`."""
        found = self.visual.trunk.forward_features(images)
        pooled = self.visual.head(self.visual.trunk.forward_head(found))
        if found.ndim == 3:
            states = found[:, self.prefix :]
            return pooled, states, self._grid(states.shape[1])
        grid = found.permute(0, 3, 1, 2) if self.channels_last else found
        return pooled, grid.flatten(2).mT, tuple(grid.shape[2:])

    def alone(self, states: Tensor) -> Tensor:
        """See `Tower.alone`."""
        if hasattr(self.visual.head, "pool"):
            raise MissingFeatureError(
                "openclip: the head of this model has positions of its own, so no patch stands "
                "alone in it; ask for its embedding only"
            )
        if hasattr(self.visual.trunk, "num_prefix_tokens"):
            single = states[:, None].expand(-1, self.prefix + 1, -1)
        elif self.channels_last:
            single = states[:, None, None]
        else:
            single = states[:, :, None, None]
        projected: Tensor = self.visual.head(self.visual.trunk.forward_head(single))
        return projected

    def _grid(self, count: int) -> tuple[int, int]:
        size = getattr(getattr(self.visual.trunk, "patch_embed", None), "grid_size", None)
        if size is not None and size[0] * size[1] == count:
            return int(size[0]), int(size[1])
        side = round(count**0.5)
        if side * side != count:
            raise MissingFeatureError(
                f"openclip: {count} patches of this model are no square; ask for its embedding only"
            )
        return side, side


def tower_of(visual: Any) -> Tower:
    """Return the tower that knows how an image network of open_clip ends."""
    kinds = {"VisionTransformer": Transformer, "ModifiedResNet": ResNet, "TimmModel": Timm}
    return kinds[type(visual).__name__](visual)
