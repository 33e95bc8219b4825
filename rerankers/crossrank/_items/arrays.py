"""What other libraries call arrays, as numpy's; and rows of unit length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating[Any])


def unit(rows: NDArray[Float]) -> NDArray[Float]:
    """Return rows ``[..., D]`` scaled to length 1, in their float type; those of zeros stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled = rows / np.where(lengths > 0, lengths, 1)
    return scaled.astype(rows.dtype, copy=False)


def has_members(value: Any) -> bool:
    """Tell whether one can go through a value: also a numpy scalar says that it is iterable."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def to_numpy(value: Any) -> Any:
    """Return a tensor as an array, whether it wants gradients, lies elsewhere or is bfloat16.

    Anything else is returned as it is; torch is not imported for it.
    """
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return value
    tensor = value.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # numpy has none
        tensor = tensor.float()
    return np.asarray(tensor.numpy())
