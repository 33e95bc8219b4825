"""Where blocks are scored: what a run sets for the process, it takes back."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest

import crossrank as cr
from crossrank._engine.local import MOST_LANES, lanes_and_threads
from crossrank._engine.options import RunOptions
from crossrank._engine.resources import Resources
from crossrank._engine.work import joined
from crossrank.errors import PluginError
from toys.basic import DotReranker, collection

INFO = cr.RerankerInfo("some", "…")
ALONE = dataclasses.replace(INFO, single_threaded=True)


@pytest.mark.parametrize(
    ("info", "options", "portions", "expected"),
    [
        (INFO, {"workers": 2, "threads": 3}, 50, (2, 3)),
        (dataclasses.replace(ALONE, thread_safe=False), {"workers": 2, "threads": 3}, 50, (1, 3)),
        (ALONE, {"workers": 1, "threads": 2}, 50, (2, 1)),
        (ALONE, {"workers": 1, "threads": 2}, 1, (1, 2)),
        (ALONE, {"workers": 2, "threads": 3}, 50, (6, 1)),
        (ALONE, {"workers": 2, "threads": 3}, 3, (3, 2)),
        (ALONE, {"workers": 1, "threads": 64}, 50, (MOST_LANES, 8)),
        (ALONE, {"workers": 16, "threads": 2}, 50, (16, 2)),
        (ALONE, {"workers": 1, "threads": 4, "device": "cuda"}, 50, (1, 4)),
    ],
)
def test_threads_a_scorer_has_no_use_for_score_other_portions(
    info: cr.RerankerInfo, options: dict[str, Any], portions: int, expected: tuple[int, int]
) -> None:
    lanes, each = lanes_and_threads(
        info, Resources.of(RunOptions(memory_budget="8GB", **options)), portions
    )
    assert (lanes, each) == expected
    assert lanes * each <= options["workers"] * options["threads"]


class Cut(DotReranker):
    """Notes which queries it was given together, and fails or abstains on some."""

    calls: ClassVar[list[tuple[str, ...]]] = []
    failing = ""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        self.calls.append(block.queries.ids)
        if self.failing in block.queries.ids:
            raise ValueError("not this one")
        scores = super().score(block, state)
        if "t5" not in block.queries.ids:
            return scores
        abstained = np.zeros(block.mask.shape, bool)
        abstained[block.queries.ids.index("t5")] = True
        return cr.Scores(scores.values, abstained, "five")


@pytest.mark.parametrize("workers", [1, 3])
def test_a_block_is_scored_in_portions_and_is_as_if_it_were_not(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    queries, gallery = collection(8, "text"), collection(40, "image")
    index = np.arange(40).reshape(8, 5)
    candidates = cr.Candidates(
        index, None, np.ones(index.shape, bool), queries.ids, gallery.ids, "t2i"
    )
    pipe = cr.Pipeline(cr.Stage(Cut, fusion=cr.Replace()))

    def run(**options: Any) -> cr.Rankings:
        Cut.calls = []
        return pipe.rerank(candidates, queries, gallery, workers=workers, **options)

    whole = run()
    assert [len(call) for call in Cut.calls] == [8]
    monkeypatch.setattr("crossrank._engine.partition.PORTION_BYTES", 1500)
    parts = run()
    assert sorted(len(call) for call in Cut.calls) == [2, 2, 2, 2]
    assert parts == whole
    assert [hit.trace[0].note for hit in parts["t5"]] == ["five"] * 5
    monkeypatch.setattr(Cut, "failing", "t2")
    with pytest.raises(PluginError, match="queries 't2' to 't3': ValueError: not this one"):
        run()
    kept = run(on_error="base_order")
    assert all("not this one" in hit.trace[0].note for hit in kept["t7"])  # the whole block


def test_scores_of_portions_are_joined() -> None:
    one, two = np.ones((1, 2), np.float32), np.zeros((2, 2), np.float32)
    plain = joined([cr.Scores(one), cr.Scores(two)])
    assert isinstance(plain, cr.Scores)
    assert plain.values.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert plain.abstained is None
    silent = np.array([[True, False]])
    mixed = joined([cr.Scores(one, silent, "a"), cr.Scores(two), cr.Scores(one, silent, "b")])
    assert isinstance(mixed, cr.Scores)
    assert mixed.abstained is not None
    assert mixed.abstained.tolist() == [[True, False], [False] * 2, [False] * 2, [True, False]]
    assert mixed.reason == "a; b"
    error = PluginError("no")
    assert joined([cr.Scores(one), error]) is error
