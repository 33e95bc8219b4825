"""The cross-attentions of learned queries over an image, whatever model they belong to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Change: TypeAlias = Callable[[Tensor], Tensor]
"""Takes the queries ``[B, heads, n, d]`` of a cross-attention; returns others, or the same tensor
where nothing is to change."""


class CrossAttention(ABC):
    """One layer in which learned queries attend to the vision output.

    Its keys depend on the vision output alone, so that the subspaces of all layers are known
    before the model runs.

    Parameters
    ----------
    module
        The module that hooks go to.
    heads, head_size
        The shape of a query after the split into heads.
    width
        The features of the vision output that it attends to.
    """

    module: nn.Module
    heads: int
    head_size: int
    width: int

    @abstractmethod
    def keys(self, image_embeds: Tensor) -> Tensor:
        """Return the keys ``[B, heads, N, d]`` of a vision output ``[B, N, D]``."""

    @abstractmethod
    def intervene(self, change: Change) -> RemovableHandle:
        """Let `change` rewrite the queries of every forward pass until the handle is removed."""

    def split(self, merged: Tensor) -> Tensor:
        """Return ``[B, n, heads · d]`` as ``[B, heads, n, d]``."""
        shape = (*merged.shape[:2], self.heads, self.head_size)
        return merged.reshape(shape).transpose(1, 2)

    def merge(self, split: Tensor) -> Tensor:
        """Return ``[B, heads, n, d]`` as ``[B, n, heads · d]``."""
        return split.transpose(1, 2).flatten(2)


class LinearQueries(CrossAttention):
    """A BERT-like attention with linear layers `query` and `key`: the Q-Former's.

    Parameters
    ----------
    attention
        Has `query`, `key`, `num_attention_heads`, `attention_head_size`; transformers and LAVIS
        spell them alike.
    """

    def __init__(self, attention: Any) -> None:
        self.module: Any = attention.query
        self._key: Any = attention.key
        self.heads = int(attention.num_attention_heads)
        self.head_size = int(attention.attention_head_size)
        self.width = int(self._key.in_features)

    def keys(self, image_embeds: Tensor) -> Tensor:
        """See `CrossAttention.keys`."""
        weight: Tensor = self._key.weight
        return self.split(self._key(image_embeds.to(weight.device, weight.dtype)))

    def intervene(self, change: Change) -> RemovableHandle:
        """See `CrossAttention.intervene`."""

        def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor | None:
            queries = self.split(output)
            changed = change(queries)
            return None if changed is queries else self.merge(changed)

        handle: RemovableHandle = self.module.register_forward_hook(hook)
        return handle
