"""A block of raw scores as the bytes of a file, which say what they are of and whether intact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.files import parse_json


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBlock:
    """Raw scores of the pairs of some queries, and what they took.

    The values ``[P]`` are in row-major order of the pairs, NaN where the scorer abstained, and per
    query the reasons say why; calls and seconds are those of when it was done.
    """

    values: NDArray[np.float32]
    reasons: tuple[str, ...]
    calls: int
    seconds: float
    prepare_seconds: float


def description_key(description: Mapping[str, Any]) -> str:
    """Return the name of a block."""
    return hashlib.blake2b(_canonical(description).encode(), digest_size=16).hexdigest()


def _canonical(description: Mapping[str, Any]) -> str:
    return json.dumps(description, sort_keys=True, ensure_ascii=False)


def encoded(description: Mapping[str, Any], block: ScoredBlock) -> bytes:
    """Return a block as safetensors that hold its description and a digest of its scores."""
    from safetensors.numpy import save

    values = np.ascontiguousarray(block.values, np.float32)
    metadata = {
        "description": _canonical(description),
        "digest": _digest(values),
        "reasons": json.dumps({n: why for n, why in enumerate(block.reasons) if why}),
        "queries": str(len(block.reasons)),
        "calls": str(block.calls),
        "seconds": repr(block.seconds),
        "prepare_seconds": repr(block.prepare_seconds),
    }
    return bytes(save({"raw": values}, metadata))


def decoded(
    content: bytes, description: Mapping[str, Any] | None, key: str = ""
) -> ScoredBlock | None:
    """Read what `encoded` made; None for anything else, and what is damaged.

    The block must be of the description; where that is None, of any that gives the key, which is
    the name of the file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    head = metadata_of(content)
    try:
        values = load(content)["raw"] if head else None
        if head is None or values is None or _digest(values) != head["digest"]:
            return None
        if description is not None and head["description"] != _canonical(description):
            return None
        if description is None and description_key(json.loads(head["description"])) != key:
            return None
        # what no scorer returns was forged; and the count bounds what is taken for it
        if np.isinf(values).any() or not 0 <= int(head["queries"]) <= 1 << 24:
            return None
        reasons = [""] * int(head["queries"])
        for place, why in json.loads(head["reasons"]).items():
            reasons[int(place)] = why
        return ScoredBlock(
            values,
            tuple(reasons),
            int(head["calls"]),
            float(head["seconds"]),
            float(head["prepare_seconds"]),
        )
    except (SafetensorError, KeyError, ValueError, IndexError, TypeError, RecursionError):
        return None


def metadata_of(content: bytes) -> dict[str, str] | None:
    """Return the strings in the head of a safetensors file."""
    try:
        size = int.from_bytes(content[:8], "little")
        head = parse_json(content[8 : 8 + size])
        found = head["__metadata__"]
        parse_json(found["description"])
        return {str(key): str(value) for key, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def head_of(path: Path) -> bytes:
    """Return the beginning of a file, up to where its scores start."""
    with path.open("rb") as file:
        size = file.read(8)
        return size + file.read(min(int.from_bytes(size, "little"), 1 << 24))


def _digest(values: NDArray[np.float32]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).hexdigest()
