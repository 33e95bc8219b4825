"""The vision output of images in memory: for runs without a cache folder that are small enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class MemoryFeatures:
    """The features of one model's images, for as long as the reranker lives.

    Has the `get` and `put` of `FeatureStore`.

    Parameters
    ----------
    model
        A digest of what decides the features.
    wanted
        The keys that the present run needs; what other runs needed is let go.
    before
        What the last run kept.
    """

    def __init__(
        self, model: str, wanted: frozenset[str], before: MemoryFeatures | None = None
    ) -> None:
        self._model = model
        self._kept: dict[str, Tensor] = {}
        if before is not None and before._model == model:
            self._kept = {key: kept for key, kept in before._kept.items() if key in wanted}

    def get(self, key: str) -> Tensor | None:
        """Return the features of an image; None if they are not there."""
        return self._kept.get(key)

    def put(self, key: str, features: Tensor) -> bool:
        """Keep the features of an image; there is always room."""
        self._kept[key] = features.clone()  # not the batch that they are part of
        return True
