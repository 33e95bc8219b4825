"""The short arguments of the drop-in call, and the pipelines they stand for."""

from dataclasses import replace
from typing import Any

import pytest

import crossrank as cr
from crossrank._rerank.settings import pipeline_of
from crossrank.errors import CrossrankError, InputError, ParameterError, PluginError
from toys.basic import DotReranker, ToyEncoder


@pytest.fixture(autouse=True)
def registered() -> None:
    cr.register(DotReranker)
    cr.register(ToyEncoder)


@pytest.mark.parametrize(
    ("fusion", "weight", "scored", "expected"),
    [
        (None, None, False, cr.Replace()),
        (None, None, True, cr.WeightedSum()),
        (None, 0.25, True, cr.WeightedSum(0.25)),
        (None, 0.0, True, cr.WeightedSum(0.0)),
        ("weighted", 2, True, cr.WeightedSum(2)),
        ("rrf", None, True, cr.RRF()),
        ("rrf", None, False, cr.RRF()),
        ("replace", None, True, cr.Replace()),
        (cr.RRF(5), None, True, cr.RRF(5)),
    ],
)
def test_fusion_by_name_object_or_weight(
    fusion: Any, weight: Any, scored: bool, expected: cr.Fusion
) -> None:
    (stage,) = pipeline_of("dot", fusion, weight, scored, {}).stages
    assert stage.fusion == expected


def test_several_rerankers_run_one_after_another() -> None:
    pipe = pipeline_of(["dot", DotReranker, cr.Stage("dot", depth=3)], None, 0.5, False, {})
    assert [stage.name for stage in pipe.stages] == ["dot", "dot#2", "dot#3"]
    assert [stage.fusion for stage in pipe.stages] == [
        cr.Replace(),
        cr.WeightedSum(0.5),
        cr.WeightedSum(),
    ]
    scored = pipeline_of(["dot", "dot"], None, None, True, {})
    assert [stage.fusion for stage in scored.stages] == [cr.WeightedSum(), cr.WeightedSum()]
    assert pipeline_of(["dot", "dot"], "rrf", None, False, {}).stages[1].fusion == cr.RRF()
    ranking = cr.rerank("a dog", ["x", "a dog"], ["dot", "dot"], encoder="toy")
    assert [trace.stage for trace in ranking[0].trace] == ["dot", "dot#2"]


def test_a_stage_is_a_pipeline_of_one() -> None:
    stage = cr.Stage("dot", fusion=cr.Replace(), name="mine")
    ranking = cr.rerank("a dog", ["x", "a dog"], stage, encoder="toy")
    assert ranking[0].trace[0].stage == "mine"


@pytest.mark.parametrize(
    ("kind", "message", "options"),
    [
        (ParameterError, "fusion is 'rff'.*'rrf'", {"fusion": "rff"}),
        (ParameterError, "fusion is 3", {"fusion": 3}),
        (InputError, "weight is a factor.*give base_scores", {"weight": 0.5}),
        (InputError, "RRF does not use", {"weight": 0.5, "fusion": "rrf"}),
        (InputError, "has its own weight", {"weight": 0.5, "fusion": cr.WeightedSum(1)}),
        (ParameterError, "weight is 'a'", {"weight": "a", "base_scores": [1.0]}),
        (InputError, "is no reranker", {"reranker": []}),
        (InputError, "is no reranker", {"reranker": 3}),
        (InputError, "whose is the parameter 'k'", {"reranker": ["dot", "dot"], "k": 1}),
        (InputError, "Stage brings its own", {"reranker": cr.Stage(DotReranker), "weight": 1.0}),
        (InputError, "no base scores", {"reranker": cr.Stage(DotReranker)}),
    ],
)
def test_settings_that_do_nothing_are_refused(
    kind: type[CrossrankError], message: str, options: dict[str, Any]
) -> None:
    with pytest.raises(kind, match=message) as caught:
        cr.rerank("q", ["a"], **{"reranker": "dot", "encoder": "toy", **options})
    assert "\n" not in str(caught.value)


def test_a_reranker_that_fails_may_leave_the_order() -> None:
    class Broken(DotReranker):
        info = cr.RerankerInfo(name="broken", summary="")

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            raise RuntimeError("no weights")

    with pytest.raises(PluginError, match="no weights"):
        cr.rerank("q", ["a", "b"], Broken, encoder="toy")
    kept = cr.rerank("q", ["a", "b"], Broken, encoder="toy", on_error="base_order")
    assert [hit.index for hit in kept] == [0, 1]
    assert "no weights" in kept[0].trace[0].note


def test_progress_is_told_of_one_query_too() -> None:
    told = []
    cr.rerank("q", ["a"], "dot", encoder="toy", cache=False, progress=lambda *s: told.append(s))
    assert {what for what, _, _ in told} == {"encode texts", "rerank: dot"}


def test_device_and_float_type_reach_the_reranker_and_an_encoder_that_knows_them() -> None:
    from dataclasses import dataclass

    seen = []

    @dataclass(frozen=True, slots=True)
    class Parameters:
        device: str = "cpu"

    class OnDevice(ToyEncoder):
        info = cr.EncoderInfo(name="on_device", summary="", features=ToyEncoder.info.features)

        def encode_batch(self, *args: Any) -> Any:
            seen.append(self.params.device)
            return super().encode_batch(*args)

    OnDevice.Parameters = Parameters
    cr.register(OnDevice)

    class Looking(DotReranker):
        info = cr.RerankerInfo(
            name="looking", summary="", query_features=("embedding",),
            candidate_features=("embedding",),
        )  # fmt: skip

        def prepare(self, context: cr.Context) -> None:
            seen.append((context.device, context.dtype, context.threads))

    cr.rerank("q", ["a"], Looking, encoder="on_device", device="meta", dtype="bfloat16", threads=3)
    assert seen == ["meta", "meta", ("meta", "bfloat16", 3)]


def test_a_usual_pipeline_is_made_once_and_a_name_registered_anew_makes_another() -> None:
    assert pipeline_of("filip", None, None, True, {}) is pipeline_of("filip", None, None, True, {})
    assert pipeline_of("filip", None, 1.0, True, {}) is not pipeline_of(
        "filip", None, None, True, {}
    )
    assert pipeline_of("filip", None, None, True, {"backend": "numpy"}) is not pipeline_of(
        "filip", None, None, True, {"backend": "numpy"}
    )

    def registered() -> type[cr.Reranker]:
        class AnewReranker(DotReranker):
            info = replace(DotReranker.info, name="anew")

        return cr.register(AnewReranker)  # type: ignore[no-any-return]

    first = registered()
    assert type(pipeline_of("anew", None, None, True, {}).stages[0].scorer) is first
    second = registered()
    assert type(pipeline_of("anew", None, None, True, {}).stages[0].scorer) is second
