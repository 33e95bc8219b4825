"""Digests of weights, computed again only when a weight was changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from torch import Tensor, nn


_KNOWN: WeakKeyDictionary[nn.Module, tuple[Any, str]] = WeakKeyDictionary()


def weights_digest(modules: Mapping[str, nn.Module]) -> str:
    """Return a digest of the names, shapes, types and values of all weights of some modules."""
    digest = hashlib.blake2b(digest_size=16)
    for name, module in sorted(modules.items()):
        digest.update(f"{name}={_of_module(module)};".encode())
    return digest.hexdigest()


def _of_module(module: nn.Module) -> str:
    weights = sorted(module.state_dict().items())
    stamp = tuple(_stamp(weight) for _, weight in weights)
    known = _KNOWN.get(module)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = _digest(weights)
    _KNOWN[module] = (stamp, digest)
    return digest


def _stamp(weight: Tensor) -> tuple[Any, ...]:
    """Return what changes when a weight is written to, moved or replaced.

    Writing through ``.data`` leaves the version as it is; hence the sum, which is quicker than a
    digest by far.
    """
    import torch

    version = -1 if weight.is_inference() else weight._version
    wide = torch.float32 if weight.device.type == "mps" else torch.float64
    total = float(weight.detach().sum(dtype=wide))
    return weight.data_ptr(), version, str(weight.device), str(weight.dtype), total


def _digest(weights: Iterable[tuple[str, Tensor]]) -> str:
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, weight in weights:
        digest.update(f"{name}{weight.dtype}{tuple(weight.shape)}".encode())
        values = weight.detach().cpu().contiguous().flatten()
        digest.update(values.view(torch.uint8).numpy().data if values.numel() else b"")
    return digest.hexdigest()
