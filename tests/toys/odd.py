"""Values that nobody should give, and somebody does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr


class Sized:
    """It has a length, and nothing else."""

    def __len__(self) -> int:
        return 3


def odd() -> list[Any]:
    """Return values, made anew: some can be used only once."""
    plain: list[Any] = [True, False, 0, -1, 3, 2.5, float("nan"), float("inf"), 10**30, 1 + 2j]
    texts: list[Any] = ["", "x", "é\u202e", "\x00", "a" * 5000, b"", b"abc", "\ud800", ["\ud800"]]
    lists: list[Any] = [[], [[]], [None], ["a"], ["a", "a"], [1, 2], [1.5], (), {}, {"a": 1}, {1}]
    arrays: list[Any] = [
        *(np.array([]), np.zeros((2, 3)), np.zeros((2, 2, 2)), np.zeros((0, 3)), np.array(3.0)),
        *(np.array(["a"]), np.array([1, 2], np.uint64), np.array([2**63], np.uint64)),
        *(np.array([1 + 2j]), np.array([None, 1], object), np.float32(1.5), np.int8(1)),
    ]
    objects: list[Any] = [
        *(None, object(), Sized(), len, int, iter([]), iter(["a"]), range(3), slice(0, 2)),
        *(Path("nope"), Path(), Path("/dev/null"), cr.Replace(), cr.Item("a", text="b")),
        *(Image.new("L", (1, 1)), io.BytesIO(b"x"), io.StringIO("x"), memoryview(b"ab")),
        *(cr.Collection(["a"], "text", embedding=[[1.0, 0.0]]), np.datetime64("2026-01-01")),
    ]
    return [*plain, *texts, *lists, *arrays, *objects]
