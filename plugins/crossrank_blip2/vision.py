"""The vision output of images: from the store, or computed and kept there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import PluginError
from crossrank_blip2.backend import Backend
from crossrank_blip2.batches import Batches
from crossrank_blip2.state import Blip2State

if TYPE_CHECKING:
    from torch import Tensor

Rows = NDArray[np.int64]


class Vision:
    """Sees images once, as long as the store has room.

    Parameters
    ----------
    backend, state
        The model, and the images of the run.
    cache_dtype
        The float type on disk, or ``"auto"``.
    limits
        See `Batches`.
    seen
        Told of each image that was not in the store, and of how many those were.
    """

    def __init__(
        self,
        backend: Backend,
        state: Blip2State,
        cache_dtype: str,
        limits: dict[str, int],
        seen: Callable[[int], None],
    ) -> None:
        self._backend = backend
        self._images, self._store = state.images, state.store
        self._cache_dtype = cache_dtype
        self._batches = Batches("images", state.room.images, limits)
        self._seen = seen

    def embeds(self, places: Rows) -> Tensor:
        """Return ``[B, N, D]`` on the model's device, of some of the run's images.

        What was computed just now has gone through the float type of the store too, so that the
        scores do not depend on what was there.
        """
        import torch

        keys = [self._images.keys[place] for place in places]
        found: dict[str, Tensor] = {}
        absent: dict[str, int] = {}
        for key, place in zip(keys, places, strict=True):
            kept = self._store.get(key)
            if kept is not None:
                found[key] = kept
            else:
                absent.setdefault(key, int(place))
        for batch, made in self._batches.run(list(absent.values()), self._compute):
            for place, features in zip(batch, made, strict=True):
                key = self._images.keys[place]
                self._store.put(key, features)
                found[key] = features
            self._seen(len(batch))
        stacked = torch.stack([found[key] for key in keys])
        return stacked.to(self._backend.device, self._backend.dtype)

    def _compute(self, places: Rows) -> Tensor:
        import torch

        paths = [self._images.paths[place] for place in places]
        pictures = [cr.open_image(Path(path)) for path in paths]
        embeds = self._backend.image_embeds(self._backend.pixels(pictures))
        if self._cache_dtype != "auto":
            embeds = embeds.to(getattr(torch, self._cache_dtype))
        finite = torch.isfinite(embeds).flatten(1).all(dim=1)
        if not bool(finite.all()):
            path = paths[int(finite.logical_not().nonzero()[0])]
            raise PluginError(
                f"blip2: the vision output of {path} is not finite in {embeds.dtype}; give "
                "dtype='bfloat16' or 'float32', and cache_dtype='auto'"
            )
        return embeds.detach().cpu()
