"""The vision output of pictures, computed once for each and kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import crossrank as cr
from crossrank.errors import BudgetError, PluginError
from crossrank.plugin.torch_device import fits
from crossrank_vlm.checkpoint import Loaded

if TYPE_CHECKING:
    from torch import Tensor

    from crossrank_vlm.pixels import Seen

BATCH = 8
"""So many pictures go through the tower together, or more that are small."""

BATCH_TOKENS = 2048
"""Of pictures that are small, as many as make so many tokens go together."""


class Kept(Protocol):
    """Where vision outputs are kept, by a digest of the picture."""

    def get(self, key: str) -> Tensor | None:
        """Return what was kept."""

    def put(self, key: str, features: Tensor) -> bool:
        """Keep it if there is room."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a run.

    Parameters
    ----------
    path, key
        Where it lies, and a digest of its content.
    size
        Width and height.
    """

    path: Path
    key: str
    size: tuple[int, int]


class Vision:
    """Pictures as the language model gets them.

    Parameters
    ----------
    loaded
        The model.
    pictures
        Of the run, by number.
    kept
        Where outputs are kept, ``[1 + layers, tokens, H]`` each: what stands in place of the image
        tokens, and what some families add in further layers.
    seen
        Told how many pictures went through the tower.
    """

    def __init__(
        self, loaded: Loaded, pictures: Sequence[Picture], kept: Kept, seen: Callable[[int], None]
    ) -> None:
        self._loaded, self._pictures, self._kept, self._seen = loaded, pictures, kept, seen

    def load(self, numbers: Sequence[int]) -> dict[int, Tensor]:
        """Return the vision outputs of some pictures, on the model's device."""
        found: dict[int, Tensor] = {}
        absent: dict[str, int] = {}
        for number in dict.fromkeys(numbers):
            kept = self._kept.get(self._pictures[number].key)
            if kept is None:
                absent.setdefault(self._pictures[number].key, number)
            else:
                found[number] = kept
        made: dict[str, Tensor] = {}
        left, most = list(absent.items()), self._most(absent.values())
        while left:
            batch = left[:most]
            work: dict[str, Tensor] = {}
            if not fits(lambda batch=batch, work=work: work.update(self._compute(batch))):  # type: ignore[misc]
                if len(batch) == 1:
                    raise BudgetError(
                        "vlm: the device has not enough memory for a single picture; give a "
                        "smaller max_pixels, dtype='bfloat16', or another device"
                    )
                most = len(batch) // 2
                continue
            left = left[len(batch) :]
            for key, features in work.items():
                self._kept.put(key, features)
            made |= work
            self._seen(len(batch))
        for number in dict.fromkeys(numbers):
            if number not in found:
                found[number] = made[self._pictures[number].key]
        device, dtype = self._loaded.model.device, self._loaded.model.dtype
        return {number: each.to(device, dtype) for number, each in found.items()}

    def pixels(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return what the model itself takes of some pictures.

        As many are read at once as torch has threads.
        """
        import torch

        model, pixels = self._loaded.model, self._loaded.family.pixels

        def read(number: int) -> Seen:
            return pixels.seen(cr.open_image(self._pictures[number].path))

        threads = min(torch.get_num_threads(), len(numbers))
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                parts = list(pool.map(read, numbers))
        else:
            parts = [read(number) for number in numbers]
        inputs = pixels.inputs(parts)
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
        return {name: each.to(model.device) for name, each in inputs.items()}

    def _most(self, numbers: Collection[int]) -> int:
        """Return how many of some pictures go through the tower together."""
        count = self._loaded.family.count
        largest = max((count(self._pictures[number].size) for number in numbers), default=1)
        return max(BATCH, BATCH_TOKENS // largest)

    def _compute(self, batch: Sequence[tuple[str, int]]) -> dict[str, Tensor]:
        import torch

        inputs = self.pixels([number for _, number in batch])
        with torch.inference_mode():
            output = self._loaded.model.model.get_image_features(**inputs, return_dict=True)
            layers = [output.pooler_output, *(getattr(output, "deepstack_features", None) or ())]
            features = [torch.stack(each).cpu() for each in zip(*layers, strict=True)]
            finite = bool(torch.isfinite(torch.cat(features, dim=1)).all())
        if not finite:
            self._refuse(batch, features)
        return {key: each for (key, _), each in zip(batch, features, strict=True)}

    def _refuse(self, batch: Sequence[tuple[str, int]], features: Sequence[Tensor]) -> NoReturn:
        """Name the first picture whose output is not finite."""
        bad = next(place for place, each in enumerate(features) if not each.isfinite().all())
        raise PluginError(
            f"vlm: the vision output of {self._pictures[batch[bad][1]].path} is not finite in "
            f"{features[bad].dtype}; give dtype='bfloat16' or 'float32'"
        )


def as_output(features: Sequence[Tensor]) -> Any:
    """Return vision outputs in the form in which a model of transformers hands them on."""
    layers = range(1, len(features[0]))
    return SimpleNamespace(
        pooler_output=tuple(each[0] for each in features),
        deepstack_features=[tuple(each[layer] for each in features) for layer in layers],
    )
