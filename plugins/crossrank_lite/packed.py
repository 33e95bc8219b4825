"""Products with weights that lie as oneDNN multiplies them, where this torch can lay them so."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def packed(weight: Tensor) -> Tensor:
    """Return a weight ``[out, in]`` as `product` likes it best; itself where nothing is gained."""
    operations = _operations(weight.dtype)
    return weight if operations is None else operations[0](weight)


def product(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``states · weightᵀ + bias`` in float32, multiplied in the weight's type.

    Parameters
    ----------
    states
        ``[N, in]`` float32.
    weight
        From `packed`.
    bias
        ``[out]`` float32.
    """
    same = weight.dtype == states.dtype
    given = states if same else states.to(weight.dtype)
    if not weight.is_mkldnn:
        found = functional.linear(given, weight, bias if same else None)
    else:
        operations = _operations(weight.dtype)
        assert operations is not None
        found = operations[1](given, weight, bias if same else None, "none", [], "")
    return found if same else found.to(states.dtype).add_(bias)


@cache
def _operations(dtype: torch.dtype) -> tuple[Any, Any] | None:
    """Return what lays weights out and what multiplies them: torch's compiler uses both.

    None where torch was built without oneDNN, or the processor does not multiply the type.
    """
    try:
        lay, multiply = (
            torch.ops.mkldnn._reorder_linear_weight,
            torch.ops.mkldnn._linear_pointwise,
        )
        one = torch.ones(2, 2, dtype=dtype)
        found = multiply(one, lay(one), None, "none", [], "")
    except (AttributeError, RuntimeError):  # NotImplementedError is one of the latter
        return None
    return (lay, multiply) if torch.equal(found, one + 1) else None
