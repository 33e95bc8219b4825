"""Fingerprints are equal for equal content and differ otherwise."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossrank import Ragged, fingerprint
from crossrank.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Settings:
    weight: float = 0.5
    names: tuple[str, ...] = ("a",)


class WithItsOwn:
    def fingerprint(self) -> str:
        return "mine"


VALUES = [
    None,
    True,
    1,
    1.0,
    "1",
    Path("1"),
    np.arange(3),
    np.arange(3.0),
    np.arange(4).reshape(2, 2),
    Ragged(np.arange(3), [1, 2]),
    Ragged(np.arange(3), [2, 1]),
    [1, [2, 3]],
    [[1, 2], 3],
    {"a": 1},
    Settings(),
    Settings(0.25),
    WithItsOwn(),
]


def test_different_values_have_different_fingerprints() -> None:
    without_paths = [value for value in VALUES if not isinstance(value, Path)]
    assert len({fingerprint(value) for value in without_paths}) == len(without_paths)


def test_equal_values_have_equal_fingerprints_in_another_process() -> None:
    code = "from crossrank import fingerprint; print(fingerprint({'b': [1, 2.5], 'a': {'x', 'y'}}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint({"a": {"y", "x"}, "b": [1, 2.5]})


def test_a_value_without_fingerprint_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match="object"):
        fingerprint(object())
