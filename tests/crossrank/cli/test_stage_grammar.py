"""The grammar of ``--stage``: whatever can be written is read back, the rest is one clear error."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import crossrank as cr
from crossrank.cli._stage_grammar import read_stage, split_stage
from crossrank.errors import CrossrankError, ParameterError, UnknownPluginError
from crossrank.plugin import registry

names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
keys = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
printable = st.text(st.characters(max_codepoint=0xD7FF)).filter(str.isprintable)
scalars = st.one_of(
    st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False), printable
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
# what may stand without quotes
bare = st.from_regex(r"[a-z][a-z./#'\"\[\]{}= -]{0,8}[a-z]", fullmatch=True).filter(
    lambda word: word not in ("true", "false", "inf", "nan")
)


@dataclass(frozen=True, slots=True)
class Parameters:
    beta: float = 0.0
    words: tuple[str, ...] = ()
    k: int = 1


class Plain(cr.Reranker):
    info = cr.RerankerInfo("plain", "Zero.")
    Parameters = Parameters

    def score(self, block: cr.Block, state: object) -> cr.Scores:
        return cr.Scores(np.zeros(block.mask.shape, np.float32))


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    cr.register(Plain)


def as_toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


@given(names, st.dictionaries(keys, values, max_size=4))
def test_what_is_written_is_read(name: str, given: dict[str, Any]) -> None:
    text = ",".join(f"{key}={as_toml(value)}" for key, value in given.items())
    assert split_stage(f"{name}:{text}" if given else name) == (name, given)


@given(names, st.dictionaries(keys, bare, min_size=1, max_size=4))
def test_words_need_no_quotes(name: str, given: dict[str, str]) -> None:
    text = ", ".join(f"{key} = {value}" for key, value in given.items())
    assert split_stage(f"{name}:{text}") == (name, given)


@given(st.text())
@example("plain:a=[1,2")
@example("plain:a='x,y")
@example("plain:a=" + "[," * 500)
@example('plain:a=""",",b=1')
@example("plain:,")
def test_any_text_is_a_stage_or_one_clear_error(text: str) -> None:
    try:
        name, values = split_stage(text)
    except ParameterError as error:
        assert str(error).startswith("--stage ")
    else:
        assert name == text.partition(":")[0].strip()
        assert all(key.isidentifier() for key in values)


@given(st.dictionaries(st.sampled_from(["depth", "weight", "normalise", "fusion", "k"]), values))
def test_any_stage_key_is_used_or_refused(given: dict[str, Any]) -> None:
    text = ",".join(f"{key}={as_toml(value)}" for key, value in given.items())
    try:
        stage = read_stage(f"plain:{text}" if given else "plain")
    except CrossrankError:
        return
    assert stage.depth == given.get("depth")
    if "weight" in given:
        assert stage.fusion.weight == given["weight"]


def test_defaults() -> None:
    stage = read_stage("plain")
    assert (stage.depth, stage.fusion, dict(stage.params)) == (None, cr.WeightedSum(), {})


@pytest.mark.parametrize(
    ("text", "depth", "fusion", "params"),
    [
        ("plain:depth=100,weight=0.5", 100, cr.WeightedSum(0.5), {}),
        ("plain:weight=2,normalise=none", None, cr.WeightedSum(2.0, "none"), {}),
        ("plain:weight=0", None, cr.WeightedSum(0.0), {}),
        ("plain:fusion=weighted,normalise='rank'", None, cr.WeightedSum(1.0, "rank"), {}),
        ("plain:fusion=replace,depth=3", 3, cr.Replace(), {}),
        ("plain:fusion=rrf", None, cr.RRF(), {}),
        ("plain:fusion=rrf,k=10", None, cr.RRF(10), {}),
        ("plain:k=10", None, cr.WeightedSum(), {"k": 10}),
        ('plain:words=["a, b"],k=1', None, cr.WeightedSum(), {"words": ["a, b"], "k": 1}),
    ],
)
def test_examples(text: str, depth: int | None, fusion: cr.Fusion, params: dict[str, Any]) -> None:
    stage = read_stage(text)
    assert (stage.depth, stage.fusion) == (depth, fusion)
    assert dict(stage.params) == params


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no reranker"),
        (":depth=1", "names no reranker"),
        ("plain:", "is not KEY=VALUE"),
        ("plain:depth", "is not KEY=VALUE"),
        ("plain:depth=", "depth has no value"),
        ("plain:depth=1,", "is not KEY=VALUE"),
        ("plain:depth=1,depth=2", "gives depth twice"),
        ("plain:words=['a', 'b'", "opens with ["),
        ("plain:beta=1\nk=2", "control character"),
        ("plain:weight=heavy", "weight is 'heavy'; give a finite number"),
        ("plain:weight=nan", "give a finite number"),
        ("plain:weight=True", "write true"),
        ("plain:weight=true", "give a finite number"),
        ("plain:normalise=zscor", "did you mean 'zscore'"),
        ("plain:normalise=[1]", "--stage"),
        ("plain:fusion=rff", "did you mean 'rrf'"),
        ("plain:fusion=[1]", "no fusion is called"),
        ("plain:fusion=replace,weight=1", "weight belongs to fusion=weighted"),
        ("plain:fusion=replace,normalise=none", "normalise belongs to fusion=weighted"),
        ("plain:fusion=rrf,weight=1", "does nothing with fusion=rrf"),
        ("plain:fusion=rrf,k=0", "give a positive number"),
        ("plain:normalize=none", "plain has no parameter 'normalize'"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        read_stage(text)
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)


def test_an_unknown_reranker_and_a_depth_of_nothing() -> None:
    with pytest.raises(UnknownPluginError, match="'plain'"):
        read_stage("plane:depth=1")
    with pytest.raises(CrossrankError, match="depth is 0"):
        read_stage("plain:depth=0")
