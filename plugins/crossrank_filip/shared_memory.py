"""Arrays of numpy as tensors of torch, without a copy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return an array as a tensor of the same memory.

    torch cannot mark a tensor as read-only and warns of arrays that are; nothing here writes.
    """
    if array.flags.writeable:
        return torch.from_numpy(array)
    interface = {**array.__array_interface__, "data": (array.ctypes.data, False)}
    return torch.from_numpy(np.asarray(SimpleNamespace(__array_interface__=interface, owner=array)))
