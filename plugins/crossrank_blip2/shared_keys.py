"""Keys and values of an image, computed once for all the texts that it is matched with.

In a cross-attention they depend on the image alone.  A BLIP-2 of full size, left to itself,
computes them anew for every pair: about two thirds of the multiplications of a matching pass.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from crossrank_blip2.checks import is_compiled
from crossrank_blip2.grouping import Groups, grouped

Rows = NDArray[np.int64]

PARTS = ("query", "key", "value", "num_attention_heads", "attention_head_size")


def cross_attentions(qformer: Any, inner: str) -> tuple[Any, ...]:
    """Return the cross-attentions of a Q-Former, or none if their keys cannot be shared.

    Parameters
    ----------
    qformer
        Its `encoder.layer` that see the image have a `crossattention`.
    inner
        What a `crossattention` calls the module with `query`, `key` and `value`.
    """
    found = [
        getattr(layer.crossattention, inner, None)
        for layer in qformer.encoder.layer
        if hasattr(layer, "crossattention")
    ]
    if is_compiled(qformer) or not all(map(_is_known, found)):
        return ()
    return tuple(found)


class SharedKeys:
    """The keys and values of some images, for any number of pairs.

    It works by hooks.  In `pairs` the model itself attends to a single token per pair, which costs
    next to nothing; what comes out is replaced by the attention to the image.

    Parameters
    ----------
    attentions
        See `cross_attentions`; where there are none, the model attends to the images by itself.
    image_embeds
        ``[n, N, D]`` the vision output of the images.
    keep
        Whether keys and values of all layers are kept, for several passes, or computed per pass.
    """

    def __init__(self, attentions: Sequence[Any], image_embeds: Tensor, keep: bool) -> None:
        self._attentions = attentions
        self._embeds = image_embeds
        self._keep = keep
        self._kept: dict[nn.Module, Tensor] = {}

    @contextmanager
    def pairs(self, images: Rows) -> Iterator[Tensor]:
        """Let passes of this thread look at images, until the block is left.

        Hooks that change queries must be there before: it takes these as they then are.

        Parameters
        ----------
        images
            ``[B]`` which of the n images stands in each row of the batch.

        Yields
        ------
        Tensor
            ``[B, …, D]``: what to give the model as its vision output.
        """
        if not self._attentions:
            yield self._embeds[torch.from_numpy(images)]
            return
        groups = grouped(images)
        with ExitStack() as hooks:
            for attention in self._attentions:
                for handle in self._hooked(attention, groups):
                    hooks.callback(handle.remove)
            yield self._embeds[:1, :1].expand(len(images), -1, -1)

    def _hooked(self, attention: Any, groups: Groups) -> Iterator[RemovableHandle]:
        thread = threading.get_ident()
        asked: list[Tensor] = []

        def ask(module: nn.Module, args: Any, queries: Tensor) -> None:
            if threading.get_ident() == thread:
                asked[:] = [queries]

        def answer(module: nn.Module, args: Any, output: tuple[Any, ...]) -> Any:
            if threading.get_ident() != thread:
                return None
            keys = self._mapped(attention.key, groups.images)
            values = self._mapped(attention.value, groups.images)
            found = _attended(asked.pop(), keys, values, attention.num_attention_heads, groups)
            return (found, *output[1:])

        yield attention.query.register_forward_hook(ask)
        yield attention.register_forward_hook(answer)

    def _mapped(self, linear: Any, images: Rows) -> Tensor:
        """Return ``[G, N, H]`` the keys or values of some images."""
        if not self._keep:
            distinct, row = np.unique(images, return_inverse=True)
            return _rows(_applied(linear, _rows(self._embeds, distinct)), row)
        if linear not in self._kept:
            self._kept[linear] = _applied(linear, self._embeds)
        return _rows(self._kept[linear], images)


def _attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int, groups: Groups) -> Tensor:
    """Return ``[B, q, H]``: the attention of queries, each group to the keys of its image."""
    count, width = queries.shape[1:]
    group, place = (
        torch.from_numpy(each).to(queries.device) for each in (groups.group, groups.place)
    )
    asked = queries.new_zeros(len(groups.images), groups.size, count, width)
    asked[group, place] = queries
    found = functional.scaled_dot_product_attention(
        _split(asked.flatten(1, 2), heads), _split(keys, heads), _split(values, heads)
    )
    return found.transpose(1, 2).reshape(asked.shape)[group, place]


def _split(merged: Tensor, heads: int) -> Tensor:
    """Return ``[B, n, H]`` as ``[B, heads, n, H / heads]``."""
    return merged.view(*merged.shape[:2], heads, -1).transpose(1, 2)


def _applied(linear: Any, embeds: Tensor) -> Tensor:
    found: Tensor = linear(embeds.to(linear.weight.device, linear.weight.dtype))
    return found


def _rows(tensor: Tensor, rows: Rows) -> Tensor:
    """Return some rows; the tensor itself where these are all of them."""
    if len(rows) == len(tensor) and np.array_equal(rows, np.arange(len(tensor))):
        return tensor
    return tensor[torch.from_numpy(rows).to(tensor.device)]


def _is_known(attention: Any) -> bool:
    return (
        all(hasattr(attention, name) for name in PARTS)
        and getattr(attention, "position_embedding_type", "absolute") == "absolute"
        and not getattr(attention, "save_attention", False)
    )
