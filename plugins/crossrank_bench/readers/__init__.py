"""Readers of benchmarks, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from crossrank.errors import InputError, nearest

if TYPE_CHECKING:
    from crossrank_bench.benchmark import Benchmark

_HOMES = {
    "sugarcrepe": "sugarcrepe",
    "winoground": "winoground",
    "cola": "cola_multi",
    "cola-single": "cola_single",
    "aro": "aro",
    "orders": "orders",
}
_OTHER = {"cola-multi": "cola", "aro-orders": "orders", "sugar-crepe": "sugarcrepe"}
NAMES = tuple(_HOMES)
"""The benchmarks that can be read."""


def reader_of(name: str) -> Callable[[Path], Benchmark]:
    """Return the reader of a benchmark."""
    plain = name.lower().replace("_", "-") if isinstance(name, str) else ""
    plain = _OTHER.get(plain, plain)
    if plain not in _HOMES:
        raise InputError(f"bench: there is no benchmark {name!r:.80}{nearest(plain, NAMES)}")
    read: Callable[[Path], Benchmark] = import_module(
        f"crossrank_bench.readers.{_HOMES[plain]}"
    ).read
    return read
