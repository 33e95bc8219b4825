"""Tokens that a vector database stores with its points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stored_tokens(vector: Any, name: str | None = None) -> NDArray[np.float32] | None:
    """Return the multivector of a point as ``[L, D]``.

    Parameters
    ----------
    vector
        A vector, a multivector, or several of them by name.
    name
        Which of several; by default the only multivector among them.

    Returns
    -------
    ndarray or None
        None where there is none, or without a name more than one.
    """
    vectors = vector if isinstance(vector, Mapping) else {"": vector}
    if name is not None:
        vectors = {name: vectors.get(name)}
    several = [each for each in vectors.values() if _is_multivector(each)]
    return np.asarray(several[0], np.float32) if len(several) == 1 else None


def _is_multivector(vector: Any) -> bool:
    return isinstance(vector, list) and bool(vector) and isinstance(vector[0], list)
