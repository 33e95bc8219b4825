"""Fingerprints: short digests by which caches and manifests recognise what they were made from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossrank._files.npy_rows import chunks
from crossrank._items.provenance import StoredPath
from crossrank.errors import ParameterError


def fingerprint(value: Any) -> str:
    """Return a digest of a value, equal for equal values on every machine and run.

    Parameters
    ----------
    value
        None, bool, int, float, str, path, numpy array or scalar, `Ragged`, a sequence, mapping or
        dataclass of these, or any object with a ``fingerprint()`` of its own.

    Raises
    ------
    ParameterError
        If the value has no fingerprint.
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: hashlib.blake2b, value: Any) -> None:
    own = getattr(value, "fingerprint", None)
    if callable(own) and not isinstance(value, type):
        digest.update(b"own" + str(own()).encode())
    elif value is None or isinstance(value, bool | int | float | str):
        kind = "str" if isinstance(value, StoredPath) else type(value).__name__
        digest.update(kind.encode() + json.dumps(value).encode() + b";")
    elif isinstance(value, np.generic):
        _feed(digest, value.item())
    elif isinstance(value, Path):
        _feed(digest, str(value))
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array{value.dtype.str}{value.shape}".encode())
        for part in chunks(value):
            digest.update(np.ascontiguousarray(part).data)
    elif callable(parts := getattr(value, "digest_parts", None)):
        for part in parts():
            _feed(digest, part)
    elif isinstance(value, Mapping):
        _feed(digest, [[key, value[key]] for key in sorted(value)])
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        _feed(digest, {field.name: getattr(value, field.name) for field in fields})
    elif isinstance(value, Sequence | set | frozenset):
        members = sorted(value) if isinstance(value, set | frozenset) else value
        digest.update(f"sequence{len(members)}".encode())
        for member in members:
            _feed(digest, member)
    else:
        raise ParameterError(
            f"a {type(value).__name__} has no fingerprint; give its class a fingerprint() method"
        )
