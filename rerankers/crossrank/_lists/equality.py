"""Equality of results that hold arrays."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def same_content(left: Any, right: Any) -> bool:
    """Return whether two values are equal, arrays by what is in them; NaN equals NaN."""
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return (
            isinstance(left, np.ndarray)
            and isinstance(right, np.ndarray)
            and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        )
    if is_dataclass(left) and type(left) is type(right):
        names = [field.name for field in fields(left)]
        return all(same_content(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(map(same_content, left, right))
    return bool(left == right)
