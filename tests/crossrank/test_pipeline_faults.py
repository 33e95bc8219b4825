"""Pipelines: bad input and plugins that misbehave end in one clear error, or keep the order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    OrientationError,
    ParameterError,
    PluginError,
    ScoreError,
    UnknownIdError,
)
from toys.basic import DotReranker, collection
from toys.pipelines import GALLERY, QUERIES, some


class Misbehaving(DotReranker):
    """Does what it is told to do wrong."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        if self.how == "raise":
            raise ValueError("no such luck")
        if self.how == "mutate":
            block.candidates["embedding"][0] = 0
        if self.how == "nan":
            values[0, 2] = np.nan
        made: Any = {
            "array": values,
            "float64": cr.Scores(values.astype(np.float64)),
            "shape": cr.Scores(values[:, 1:]),
            "list": cr.Scores(values.tolist()),
            "abstain": cr.Scores(values, abstained=values[0] > 9),
        }
        found: cr.Scores = made.get(self.how, cr.Scores(values))
        return found


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("raise", PluginError, r"'dot' failed in score\(\) on queries 't0' to 't4': ValueError"),
        ("mutate", PluginError, "read-only"),
        ("nan", ScoreError, "gave nan to query 't0' and candidate"),
        ("array", ScoreError, "must return Scores"),
        ("float64", ScoreError, "float64; they must be a float32 array"),
        ("shape", ScoreError, r"shape \(5, 11\) for a block of \(5, 12\)"),
        ("list", ScoreError, "scores of list"),
        ("abstain", ScoreError, "abstain mask of shape"),
    ],
)
def test_a_misbehaving_plugin_is_named(how: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        cr.Pipeline(cr.Stage(Misbehaving(how))).rerank(some(), QUERIES, GALLERY)


def test_bad_input_is_refused_before_any_scoring() -> None:
    pipe = cr.Pipeline(cr.Stage(Misbehaving("raise")))
    narrow = collection(12, "image", dimensions=4)
    cases: list[tuple[type[Exception], str, Any]] = [
        (OrientationError, "swap", lambda: pipe.rerank(some(), GALLERY, QUERIES)),
        (
            OrientationError,
            "swap",
            lambda: pipe.rerank(cr.Candidates.from_run(some().to_run()), GALLERY, QUERIES),
        ),
        (UnknownIdError, "'i11'", lambda: pipe.rerank(some(), QUERIES, GALLERY.take(range(11)))),
        (UnknownIdError, "'t4'", lambda: pipe.rerank(some(), QUERIES.take(range(4)), GALLERY)),
        (FeatureMismatchError, r"\(4,\)", lambda: pipe.rerank(some(), QUERIES, narrow)),
        (
            MissingFeatureError,
            "needs the feature 'embedding' of the gallery",
            lambda: pipe.rerank(some(), QUERIES, GALLERY.take(range(12), [])),
        ),
        (InputError, "top_k", lambda: pipe.rerank(some(), QUERIES, GALLERY, top_k=0)),
        (InputError, "workers", lambda: pipe.rerank(some(), QUERIES, GALLERY, workers=0)),
        (
            InputError,
            "'much' cannot be read",
            lambda: pipe.rerank(some(), QUERIES, GALLERY, memory_budget="much"),
        ),
        (
            InputError,
            "no base scores",
            lambda: pipe.rerank(cr.Candidates.from_lists({"t0": ["i0"]}), QUERIES, GALLERY),
        ),
        (InputError, "at least one stage", lambda: cr.Pipeline([])),
        (InputError, "depth", lambda: cr.Stage(DotReranker, depth=0)),
        (ParameterError, "fusion", lambda: cr.Stage(DotReranker, fusion="rrf")),  # type: ignore[arg-type]
        (ParameterError, "neither", lambda: cr.Stage(3)),  # type: ignore[arg-type]
        (ParameterError, "no parameter 'x'", lambda: cr.Stage(DotReranker, params={"x": 1})),
    ]
    for kind, message, call in cases:
        with pytest.raises(kind, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_direction_the_scorer_does_not_do_is_refused() -> None:
    class OneWay(DotReranker):
        info = cr.RerankerInfo(name="oneway", summary="", directions=("i2t",))

    with pytest.raises(OrientationError, match="does i2t, not t2i"):
        cr.Pipeline(cr.Stage(OneWay)).rerank(some(), QUERIES, GALLERY)


class Failing(DotReranker):
    """Fails on the blocks that hold one query."""

    error: ClassVar[type[Exception]] = ValueError

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if "t1" in block.queries.ids:
            raise self.error("no scores today")
        return super().score(block, state)


class Refusing(Failing):
    """Fails with an error of our own."""

    error = InputError


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", [Failing, Refusing])
def test_a_failing_block_keeps_its_order_where_that_is_wanted(
    kind: type[Failing], workers: int
) -> None:
    pipe = cr.Pipeline(cr.Stage(kind, fusion=cr.Replace()))
    with pytest.raises(CrossrankError, match="no scores today"):
        pipe.rerank(some(), QUERIES, GALLERY, memory_budget="2 KB", workers=workers)
    found = pipe.rerank(
        some(), QUERIES, GALLERY, memory_budget="2 KB", workers=workers, on_error="base_order"
    )
    whole = cr.Pipeline(cr.Stage(DotReranker, fusion=cr.Replace())).rerank(some(), QUERIES, GALLERY)
    for query in QUERIES.ids:
        if query == "t1":
            assert [hit.base_rank for hit in found[query]] == list(range(1, len(found[query]) + 1))
            assert "no scores today" in found[query][0].trace[0].note
        else:
            assert found[query].ids == whole[query].ids
    with pytest.raises(InputError, match="on_error is 'ignore'; give one of raise, base_order"):
        pipe.rerank(some(), QUERIES, GALLERY, on_error="ignore")


def test_a_parameter_without_a_default_is_asked_for_by_name() -> None:
    @dataclass(frozen=True)
    class Parameters:
        knowledge: str
        weight: float = 1.0

    class Needy(DotReranker):
        pass

    Needy.Parameters = Parameters
    with pytest.raises(ParameterError, match="dot needs the parameter 'knowledge'; give"):
        cr.Stage(Needy, params={"weight": 2.0})
    assert cr.Stage(Needy, params={"knowledge": "bank"}).scorer.params.weight == 1.0
