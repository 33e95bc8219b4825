"""Computing on a device of torch: one that is there, exact products, chunks that fit its memory.

For rerankers that honour `Context.device`.  torch is imported when something here is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import BudgetError, ParameterError
from crossrank.plugin.optional import required

if TYPE_CHECKING:
    from torch import nn

Model = TypeVar("Model", bound="nn.Module")

_COPIES: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()

_LOCK = Lock()
_FOUND: list[str] = []
"""The precision that was found, once for each who needs exact products now."""

SHARE_OF_FREE = 4
"""At most this part of the device's free memory holds what one chunk works on."""
CHUNK_BYTES = 256 << 20
"""Larger chunks gain nothing: starting the kernels is already a small part of the time."""
UNKNOWN_FREE = 4 << 30
"""What is taken as free where torch does not tell."""


def device_of(who: str, device: str, extra: str, dtype: str = "float32") -> str | None:
    """Return the device of torch that a reranker should compute on, None for its own kernels.

    Parameters
    ----------
    who
        The reranker, for messages.
    device
        As the run was given it.  ``"cpu"`` stands for what a reranker does without a device; any
        other name is one of torch, ``"cpu:0"`` too, by which this path can be tried anywhere.
    extra
        The extra of ``crossrank`` that installs torch for it.
    dtype
        A float type that it needs there.

    Raises
    ------
    MissingPackageError
        If torch is not installed, or cannot be imported.
    ParameterError
        If torch cannot use the device here, or not with this float type.
    """
    name = str(device)
    if name == "cpu":
        return None
    torch = required("torch", extra, f"{who} on the device {name!r}")
    check_device(who, name, dtype)
    return str(torch.device(name))


def check_device(who: str, device: str, dtype: str = "float32") -> None:
    """Refuse a device that torch, which is installed, cannot use here.

    Parameters
    ----------
    who, device, dtype
        See `device_of`; ``"cpu"`` is one of torch here.

    Raises
    ------
    ParameterError
        Saying what torch complains of.
    """
    import torch

    try:
        torch.zeros(1, dtype=getattr(torch, dtype), device=device).cpu()
    except Exception as error:  # RuntimeError, AssertionError, TypeError and others, by backend
        said = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise ParameterError(
            f"{who}: torch cannot use the device {device!r} here: {said}; give device='cpu'"
        ) from error


def on_device(model: Model, device: str | None) -> Model:
    """Return a model on a device of torch, None for where it is.

    On a device it is a copy, made once while the model lives: other runs use the model too.  What
    is trained afterwards does not reach it.
    """
    if device is None:
        return model
    copies = _COPIES.setdefault(model, {})
    if device not in copies:
        copies[device] = deepcopy(model).to(device)
    copied: Model = copies[device]
    return copied


def free_bytes(device: str) -> int:
    """Return how much memory torch could still take on a device."""
    import torch

    where = torch.device(device)
    if where.type != "cuda":
        return UNKNOWN_FREE
    free, _ = torch.cuda.mem_get_info(where)
    return int(free + torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where))


def in_chunks(
    who: str, device: str, costs: NDArray[np.int64], work: Callable[[slice], Any]
) -> None:
    """Do work in chunks that fit a device's memory, smaller ones where it runs out.

    Parameters
    ----------
    who, device
        For the memory, and for messages.
    costs
        ``[N]`` bytes that each thing takes, never rising: a chunk takes those of its first thing
        times its length, as when all are padded alike.
    work
        Called with consecutive slices of the N things; once more where the memory ran out.

    Raises
    ------
    BudgetError
        If a single thing does not fit.
    """
    most = min(CHUNK_BYTES, free_bytes(device) // SHARE_OF_FREE)
    start = 0
    while start < len(costs):
        count = max(1, most // max(1, int(costs[start])))
        part = slice(start, min(start + count, len(costs)))
        if fits(partial(work, part)):
            start = part.stop
            continue
        tried = part.stop - part.start
        if tried == 1:
            raise BudgetError(
                f"{who}: the device {device!r} has not enough memory for a single one, about "
                f"{int(costs[start]):,} bytes; free some of it, or give device='cpu'"
            )
        most = max(1, int(costs[start])) * (tried // 2)


def fits(work: Callable[[], Any]) -> bool:
    """Do work and return True; False if the device's memory ran out, once it is free again."""
    import torch

    try:
        work()
    except torch.cuda.OutOfMemoryError:
        pass  # the frames that hold the memory go with the exception
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


@contextmanager
def exact_products() -> Iterator[None]:
    """Keep TF32, which rounds the factors of float32 products to 10 bits, off for a while."""
    import torch

    products = torch.backends.cuda.matmul
    with _LOCK:
        before = _FOUND[0] if _FOUND else _precision(products)
        if not _FOUND and before == "tf32":
            _set_precision(products, "ieee")
        _FOUND.append(before)
    try:
        yield
    finally:
        with _LOCK:
            _FOUND.pop()
            if not _FOUND and before == "tf32":  # workers overlap, the last one restores
                _set_precision(products, "tf32")


def _precision(products: Any) -> str:
    """Read the setting by its new name, which torch wants from 2.9 on, or by its old one."""
    if hasattr(products, "fp32_precision"):
        return str(products.fp32_precision)
    return "tf32" if products.allow_tf32 else "ieee"


def _set_precision(products: Any, precision: str) -> None:
    if hasattr(products, "fp32_precision"):
        products.fp32_precision = precision
    else:
        products.allow_tf32 = precision == "tf32"


__all__ = [
    "check_device",
    "device_of",
    "exact_products",
    "fits",
    "free_bytes",
    "in_chunks",
    "on_device",
]
