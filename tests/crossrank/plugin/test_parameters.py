"""Checks of parameters: what each accepts, how they compose, and what the message says."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank.plugin import parameters as p

NAN, INF = float("nan"), float("inf")
ODD: tuple[Any, ...] = (None, "", "1", [], {}, object(), b"1", 1j, np.zeros(2))

CASES = {
    "finite": (p.finite, (0, -1.5, np.float32(2), np.int64(3)), (NAN, INF, True, *ODD)),
    "positive": (p.positive, (1e-9, 7, np.float64(1)), (0, -1, NAN, INF, True, *ODD)),
    "at_least": (p.at_least(0), (0, 0.0, 3), (-1e-9, NAN, INF, False, *ODD)),
    "between": (p.between(0, 1), (0, 1, 0.5), (-0.1, 1.1, NAN, True, *ODD)),
    "inside": (p.inside(0, 1), (0.5, 1e-9), (0, 1, NAN, True, *ODD)),
    "integer": (p.integer(), (0, -3, np.int32(2)), (1.0, True, NAN, *ODD)),
    "integer from": (p.integer(1), (1, 99), (0, -1, 1.5, True, *ODD)),
    "integer to": (p.integer(1, 3), (1, 3), (0, 4, *ODD)),
    "boolean": (p.boolean, (True, False), (0, 1, "true", None)),
    "one_of": (p.one_of("a", "b"), ("a", "b"), ("c", "A", None, ["a"], np.array(["a", "b"]))),
    "one_of 1": (p.one_of(1, 2), (1, 2), (True, 1.0, "1")),
    "text": (p.text, ("x", " x "), ("", "  ", None, Path("x"))),
    "path": (p.path, ("x", Path("x")), ("", "  ", None, 3)),
    "optional": (p.finite | p.none, (None, 1.0), ("", NAN)),
    "both": (p.integer() & p.one_of(2, 4), (2, 4), (3, "2", None)),
    "methods": (p.methods("score", "explain"), (cr.Reranker,), (3, None, "x")),
    "instance_of": (p.instance_of(str, Path, give="x"), ("", Path()), (None, 3)),
    "each": (p.each(p.positive, least=1), ([1], (1, 2.5)), ([], [0], "12", 3, iter([1]), [None])),
    "float_type": (p.float_type, ("float32", "bfloat16", "float16"), ("float64", np.float32)),
}


@pytest.mark.parametrize("name", CASES)
def test_each_check_accepts_what_it_says_and_nothing_else(name: str) -> None:
    check, good, bad = CASES[name]
    for value in good:
        assert check.accepts(value) is True, value
    for value in bad:
        assert check.accepts(value) is False, value


@dataclass(frozen=True, slots=True)
class Parameters:
    mode: str = "mean"
    most: int | None = None

    def __post_init__(self) -> None:
        p.check("mine", self, mode=p.one_of("mean", "sum"), most=p.integer(1) | p.none)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "maen"}, "mine: mode is 'maen'; give one of mean, sum"),
        ({"most": 0}, "mine: most is 0; give an integer of at least 1, or None"),
        ({"most": True}, "mine: most is True; give an integer of at least 1, or None"),
    ],
)
def test_the_message_names_plugin_parameter_value_and_what_to_give(
    given: dict[str, Any], said: str
) -> None:
    Parameters(mode="sum", most=3)
    with pytest.raises(ParameterError, match=f"^{re.escape(said)}$"):
        Parameters(**given)


def test_of_many_choices_the_nearest_is_named() -> None:
    check = p.one_of(*(f"layer{number}" for number in range(20)))
    with pytest.raises(ParameterError, match="did you mean 'layer1'"):
        p.checked("mine", "where", "layr1", check)
    assert p.checked("mine", "where", "layer3", check) == "layer3"


def test_composed_checks_say_both() -> None:
    assert (p.finite | p.none).give == "a finite number, or None"
    assert (p.path | p.instance_of(dict, give="a dict")).give == "a path, or a dict"
