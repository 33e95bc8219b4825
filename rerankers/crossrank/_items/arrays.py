"""What other libraries call arrays, as numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np


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
