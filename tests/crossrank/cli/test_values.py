"""Typed values: TOML where it is TOML, a word where it is a word, never a surprise."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossrank.cli._values import read_parameters, read_value
from crossrank.errors import ParameterError

texts = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, blacklist_categories=["Cc"]))
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False),
    texts,
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


def as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


@given(values)
def test_what_toml_writes_is_read(value: Any) -> None:
    assert read_value(as_toml(value), "x") == value


@given(st.text())
@example("1 # 2")
@example('"a"]#')
@example("1]\nw = [2")
@example("[" * 5000)
@example("9" * 5000)
@example("1, 2")
@example("{a = 1")
@example("''' ,'''")
def test_any_text_is_a_value_or_one_clear_error(text: str) -> None:
    try:
        value = read_value(text, "x")
    except ParameterError as error:
        assert str(error).startswith("x ")
    else:
        assert not isinstance(value, str) or value == text.strip() or text.strip()[0] in "'\""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("zscore", "zscore"),
        ("/data/o'neil, jr.txt", "/data/o'neil, jr.txt"),
        ("a#b", "a#b"),
        ("1 # 2", "1 # 2"),
        ("0.5.1", "0.5.1"),
        ("1_000", 1000),
        ("0x10", 16),
        ("-3", -3),
        ("1e3", 1000.0),
        ("true", True),
        ("none", "none"),
        ("'c:\\new'", "c:\\new"),
        ('"c:\\\\new"', "c:\\new"),
        ("{a = 1, b = [2]}", {"a": 1, "b": [2]}),
        ("[]", []),
        ('""', ""),
    ],
)
def test_examples(text: str, value: Any) -> None:
    found = read_value(text, "x")
    assert found == value
    assert type(found) is type(value)


def test_infinity_is_a_number_that_others_refuse() -> None:
    assert read_value("inf", "x") == math.inf


@pytest.mark.parametrize("text", ["", "  ", "'open", "[1", '"a" "b"', "{1}", "True", "FALSE"])
def test_refused(text: str) -> None:
    with pytest.raises(ParameterError):
        read_value(text, "x")


def test_parameters() -> None:
    assert read_parameters(["a=1", "b = x=y", "c=1, 2"], "--param") == {
        "a": 1,
        "b": "x=y",
        "c": "1, 2",
    }


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"], ["a="]])
def test_bad_parameters(pairs: list[str]) -> None:
    with pytest.raises(ParameterError, match="--param"):
        read_parameters(pairs, "--param")
