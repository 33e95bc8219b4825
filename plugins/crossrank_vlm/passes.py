"""Passes through the language model: what pairs share at their beginning goes through once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import BudgetError, ParameterError, PluginError
from crossrank.plugin.torch_device import exact_products, fits
from crossrank_vlm.checkpoint import Loaded
from crossrank_vlm.families import Family
from crossrank_vlm.prompts import Prompt
from crossrank_vlm.vision import Vision, as_output

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_TAKES: dict[str, bool] = {}
"""What `takes_outputs` found, by class."""

FEWEST = 2
"""So many pairs must share a beginning for it to go through on its own."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The beginning that some pairs share, as the model left it.

    Parameters
    ----------
    length
        In tokens; 0 for none.
    layers
        Keys and values ``[1, heads, length, d]`` of each layer.
    """

    length: int = 0
    layers: tuple[tuple[Any, Any], ...] = ()


class Passes:
    """Scores prompts.

    Parameters
    ----------
    loaded
        The model.
    vision
        Its pictures.
    grids
        Of each picture, rows and columns of its tokens.
    counts
        Of each picture, how many tokens it takes.
    batch_tokens
        The most tokens at once.
    reuse
        ``"prefix"``, ``"vision"`` or ``"none"``.
    """

    def __init__(
        self,
        loaded: Loaded,
        vision: Vision,
        grids: Sequence[tuple[int, int]],
        counts: Sequence[int],
        batch_tokens: int,
        reuse: str,
    ) -> None:
        self._loaded, self._vision, self._grids, self._counts = loaded, vision, grids, counts
        self._batch_tokens = batch_tokens
        shares = reuse != "none" and takes_outputs(type(loaded.model.model))
        self._reuse = reuse if shares else "none"

    def scores(self, prompts: Sequence[Prompt], groups: Sequence[int]) -> NDArray[np.float32]:
        """Return ``[P]`` float32.

        Parameters
        ----------
        prompts
            P of them.
        groups
            ``[P]`` which item stands first in each: those of the same share a beginning.
        """
        scores = np.empty(len(prompts), np.float32)
        alone: list[int] = []
        for members in _members(groups):
            shared = self._shared([prompts[place] for place in members])
            if not shared:
                alone += members
                continue
            prefix = self._prefix(prompts[members[0]], shared)
            if prefix is None:
                alone += members
                continue
            self._score(prompts, members, prefix, scores)
        self._score(prompts, alone, Prefix(), scores)
        return scores

    @property
    def family(self) -> Family:
        """How the model sees pictures."""
        return self._loaded.family

    def saliency(self, prompt: Prompt) -> list[NDArray[np.float32]]:
        """Return for each picture of a pair how much of the score flows through its tokens.

        ``max(0, ∂s/∂v · v)`` for each token's vision output v; s is the score before bias and
        sigmoid.

        Raises
        ------
        ParameterError
            If this transformers does not take ready vision outputs.
        """
        import torch

        if not takes_outputs(type(self._loaded.model.model)):
            raise ParameterError(
                "vlm: evidence needs transformers 5.18 or later, whose models take ready vision "
                "outputs; install one, or leave explain out"
            )
        numbers = list(dict.fromkeys(prompt.pictures))
        loaded = self._vision.load(numbers)
        # not made under inference mode, so that a gradient can flow
        leaves = {number: loaded[number].clone().requires_grad_() for number in numbers}
        output = as_output([leaves[number] for number in prompt.pictures])
        with torch.enable_grad():
            states = self._forward(
                prompt.ids[None],
                self._positions(prompt)[..., None, :],
                {"mm_encoder_outputs": {"image": output}},
            ).last_hidden_state
            score = self._loaded.head(states[:, -1].float()).sum()
            gradients = torch.autograd.grad(score, list(leaves.values()), allow_unused=True)
        found = {}
        for number, gradient in zip(numbers, gradients, strict=True):
            value = leaves[number].detach()
            flow = torch.zeros_like(value) if gradient is None else gradient * value
            found[number] = flow.float().sum(dim=(0, 2)).clamp(min=0).cpu().numpy()
        return [found[number] for number in prompt.pictures]

    def _shared(self, prompts: Sequence[Prompt]) -> int:
        """Return how many tokens all of some prompts begin with, 0 if sharing is no use."""
        if self._reuse != "prefix" or len(prompts) < FEWEST:
            return 0
        first, *others = {id(each.ids): each for each in prompts}.values()
        shared = min(len(each.ids) for each in (first, *others)) - 1
        for other in others:
            differ = np.flatnonzero(first.ids[:shared] != other.ids[:shared])
            shared = int(differ[0]) if len(differ) else shared
        return min(shared, *(self._own(each) for each in (first, *others)))

    def _own(self, prompt: Prompt) -> int:
        """Return where the first picture of what stands second begins: ids alone do not tell."""
        if len(prompt.pictures) == prompt.first:
            return len(prompt.ids)
        places = np.flatnonzero(prompt.ids == self._loaded.family.image_token)
        return int(places[sum(self._counts[number] for number in prompt.pictures[: prompt.first])])

    def _prefix(self, prompt: Prompt, length: int) -> Prefix | None:
        """Run the beginning; None if the model's memory of it is not one that can be shared."""
        import torch
        from transformers import DynamicCache

        pictures = prompt.pictures[: prompt.first]
        positions = self._positions(prompt)[..., :length]
        with torch.inference_mode(), exact_products():
            output = self._forward(
                prompt.ids[None, :length], positions[..., None, :], self._media(pictures)
            )
        cache = output.past_key_values
        layers = getattr(cache, "layers", None)
        if not isinstance(cache, DynamicCache) or layers is None:
            return None
        if any(type(layer).__name__ != "DynamicLayer" for layer in layers):
            return None  # a window, or a recurrent state
        return Prefix(length, tuple((layer.keys, layer.values) for layer in layers))

    def _score(
        self,
        prompts: Sequence[Prompt],
        members: Sequence[int],
        prefix: Prefix,
        scores: NDArray[np.float32],
    ) -> None:
        """Score what follows a beginning, in batches of prompts alike in length."""
        left = sorted(members, key=lambda place: -len(prompts[place].ids))
        most = len(left)
        while left:
            longest = len(prompts[left[0]].ids)
            count = max(1, min(most, self._batch_tokens // longest, len(left)))
            batch = left[:count]
            if not fits(lambda batch=batch: self._batch(prompts, batch, prefix, scores)):  # type: ignore[misc]
                if count == 1:
                    raise BudgetError(
                        f"vlm: the device has not enough memory for one pair of {longest} tokens; "
                        "give a smaller max_pixels or max_length, dtype='bfloat16', or another "
                        "device"
                    )
                most = count // 2
                logger.warning(
                    "vlm: not enough memory for %d pairs at once; going on with %d", count, most
                )
                continue
            left = left[count:]

    def _batch(
        self,
        prompts: Sequence[Prompt],
        batch: Sequence[int],
        prefix: Prefix,
        scores: NDArray[np.float32],
    ) -> None:
        import torch

        chosen = [prompts[place] for place in batch]
        ids, positions, lengths = padded(
            [each.ids[prefix.length :] for each in chosen],
            [self._positions(each)[..., prefix.length :] for each in chosen],
        )
        skipped = [each.first if prefix.length else 0 for each in chosen]
        pictures = [
            number
            for each, skip in zip(chosen, skipped, strict=True)
            for number in each.pictures[skip:]
        ]
        with torch.inference_mode(), exact_products():
            output = self._forward(ids, positions, self._media(pictures), prefix, lengths)
            states = output.last_hidden_state
            last = states[torch.arange(len(batch)), torch.as_tensor(lengths - 1)].float()
            found = self._finished(self._loaded.head(last)).cpu().numpy()
        if not np.isfinite(found).all():
            raise PluginError(
                f"vlm: the model's answer is not finite in {states.dtype}; give dtype='bfloat16' "
                "or 'float32'"
            )
        scores[list(batch)] = found

    def _finished(self, raw: Tensor) -> Tensor:
        import torch

        shifted = raw - self._loaded.bias
        return torch.sigmoid(shifted) if self._loaded.sigmoid else shifted

    def _forward(
        self,
        ids: NDArray[np.int64],
        positions: NDArray[np.int64],
        media: dict[str, Any],
        prefix: Prefix | None = None,
        lengths: NDArray[np.int64] | None = None,
    ) -> Any:
        """Run ``[B, L]`` tokens; with `prefix` None, keep what others may go on from.

        Rows are padded at the end, where nothing before it looks.
        """
        import torch
        from transformers import DynamicCache

        model, options = self._loaded.model, dict[str, Any]()
        device = model.device
        past = 0 if prefix is None else prefix.length
        if past and prefix is not None:
            cache = DynamicCache()
            for number, (keys, values) in enumerate(prefix.layers):
                shape = (len(ids), -1, -1, -1)
                cache.update(keys.expand(shape), values.expand(shape), number)
            options["past_key_values"] = cache
        if not past:  # behind a beginning, models mask by order alone, as padding needs no more
            mask = np.ones(ids.shape, np.int64)
            if lengths is not None:
                mask[:] = np.arange(ids.shape[1]) < lengths[:, None]
            options["attention_mask"] = torch.as_tensor(mask, device=device)
        options |= media
        return model.model(
            input_ids=torch.as_tensor(ids, device=device),
            position_ids=torch.as_tensor(positions, device=device),
            use_cache=prefix is None or past > 0,
            **options,
        )

    def _media(self, pictures: Sequence[int]) -> dict[str, Any]:
        if not pictures:
            return {}
        if self._reuse == "none":
            return self._vision.pixels(pictures)
        features = self._vision.load(pictures)
        output = as_output([features[number] for number in pictures])
        return {"mm_encoder_outputs": {"image": output}}

    def _positions(self, prompt: Prompt) -> NDArray[np.int64]:
        grids = [self._grids[number] for number in prompt.pictures]
        return self._loaded.family.positions(prompt.ids, grids)


def takes_outputs(kind: type) -> bool:
    """Return whether a model takes ready vision outputs: those of transformers 5.18 and later do.

    Others see every picture again for every pair, as the log says once for each class.
    """
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name not in _TAKES:
        _TAKES[name] = "mm_encoder_outputs" in parameters_of(kind)
        if not _TAKES[name]:
            logger.warning(
                "vlm: this transformers does not take ready vision outputs, so every pair sees its "
                "picture again; install transformers 5.18 or later to see each picture once"
            )
    return _TAKES[name]


def parameters_of(kind: Any) -> frozenset[str]:
    """Return what a model's forward pass can be given."""
    return frozenset(inspect.signature(kind.forward).parameters)


def padded(
    ids: Sequence[NDArray[np.int64]], positions: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return ids ``[B, L]``, positions ``[B, L]`` or ``[3, B, L]``, and lengths ``[B]``.

    Rows are filled up with their last token, at positions that go on.
    """
    lengths = np.array([len(each) for each in ids], np.int64)
    columns = np.arange(lengths.max())
    starts = np.cumsum(lengths) - lengths
    places = starts[:, None] + np.minimum(columns, lengths[:, None] - 1)
    last = np.array([each.max() for each in positions], np.int64)
    behind = columns - lengths[:, None]
    on = np.where(behind < 0, np.concatenate(positions, axis=-1)[..., places], 0)
    on += np.where(behind < 0, 0, last[:, None] + 1 + behind)
    return np.concatenate(ids)[places], on, lengths


def _members(groups: Sequence[int]) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for place, group in enumerate(groups):
        found.setdefault(group, []).append(place)
    return list(found.values())
