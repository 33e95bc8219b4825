"""Pipelines: the promises of the result, whatever the lists, blocks and workers."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from toys.basic import DotReranker, collection
from toys.pipelines import GALLERY, QUERIES, some

FUSIONS = [cr.Replace(), cr.RRF(), cr.WeightedSum(0.5), cr.WeightedSum(2.0, "rank")]


class Choosy(DotReranker):
    """Abstains where the inner product is small."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        return cr.Scores(values, abstained=values < 0.1, reason="too far apart")


@st.composite
def candidate_lists(draw: st.DrawFn) -> cr.Candidates:
    """Ragged lists, with base scores full of ties or without any."""
    lists, scores = {}, {}
    for query in QUERIES.ids:
        members = draw(st.lists(st.sampled_from(GALLERY.ids), unique=True, max_size=12))
        lists[query] = members
        scores[query] = [draw(st.sampled_from([0.0, 0.5, 1.0])) for _ in members]
    given_scores = scores if draw(st.booleans()) else None
    return cr.Candidates.from_lists(lists, scores=given_scores, candidate_ids=GALLERY.ids)


stages = st.builds(
    cr.Stage,
    st.sampled_from([DotReranker, Choosy]),
    depth=st.none() | st.integers(1, 13),
    fusion=st.sampled_from(FUSIONS[:2]),
)


later_stages = st.builds(
    cr.Stage,
    st.sampled_from([DotReranker, Choosy]),
    depth=st.none() | st.integers(1, 13),
    fusion=st.sampled_from(FUSIONS),
)


@given(candidate_lists(), stages, st.lists(later_stages, max_size=2), st.data())
@settings(max_examples=150, deadline=None)
def test_the_result_is_a_permutation_cut_by_top_k(
    candidates: cr.Candidates, first: cr.Stage, rest: list[cr.Stage], data: st.DataObject
) -> None:
    pipe = cr.Pipeline([first, *rest])
    whole = pipe.rerank(candidates, QUERIES, GALLERY)
    base = candidates.to_run()
    for query, ranking in whole.items():
        assert set(ranking.ids) == set(base[query])
        assert [hit.rank for hit in ranking] == list(range(1, len(ranking) + 1))
        assert [hit.base_rank for hit in ranking] == [
            list(base[query]).index(id) + 1 for id in ranking.ids
        ]
        scores = [hit.score for hit in ranking]
        assert scores == sorted(scores, reverse=True)
        for above, below in itertools.pairwise(ranking):
            if above.score == below.score:
                assert above.base_rank < below.base_rank
    top_k = data.draw(st.integers(1, 13))
    cut = pipe.rerank(candidates, QUERIES, GALLERY, top_k=top_k)
    for query in QUERIES.ids:
        assert cut[query].ids == whole[query].ids[:top_k]
    threshold = data.draw(
        st.sampled_from([0.0, 0.2, *(h.score for r in whole.values() for h in r)])
    )
    kept = pipe.rerank(candidates, QUERIES, GALLERY, score_threshold=threshold)
    for query in QUERIES.ids:
        assert list(kept[query]) == [hit for hit in whole[query] if hit.score >= threshold]


@given(
    candidate_lists(),
    stages,
    later_stages,
    st.integers(1, 4),
    st.sampled_from([2_000, 9_000, 1 << 30]),
)
@settings(max_examples=60, deadline=None)
def test_blocks_and_workers_change_nothing(
    candidates: cr.Candidates, first: cr.Stage, second: cr.Stage, workers: int, budget: int
) -> None:
    pipe = cr.Pipeline([first, second])
    one = pipe.rerank(candidates, QUERIES, GALLERY, memory_budget=budget)
    several = pipe.rerank(candidates, QUERIES, GALLERY, memory_budget=budget, workers=workers)
    assert one == several
    whole = pipe.rerank(candidates, QUERIES, GALLERY)
    assert np.allclose(one.to_similarity(), whole.to_similarity(), atol=1e-5)


@given(candidate_lists(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_scored_candidates_changes_nothing(
    candidates: cr.Candidates, random: Any
) -> None:
    if candidates.scores is None:
        return
    shuffled = {
        query: dict(random.sample(list(members.items()), len(members)))
        for query, members in candidates.to_run().items()
    }
    again = cr.Candidates.from_run(shuffled, candidate_ids=GALLERY.ids)
    pipe = cr.Pipeline(cr.Stage(DotReranker, depth=4))
    before = pipe.rerank(candidates, QUERIES, GALLERY)
    assert [r.ids for r in pipe.rerank(again, QUERIES, GALLERY).values()] == [
        r.ids for r in before.values()
    ]


def test_replace_gives_the_raw_scores() -> None:
    result = cr.Pipeline(cr.Stage(DotReranker, fusion=cr.Replace())).rerank(
        some(), QUERIES, GALLERY
    )
    expected = QUERIES["embedding"] @ GALLERY["embedding"].T
    np.testing.assert_allclose(result.to_similarity(), expected, atol=1e-6)
    np.testing.assert_allclose(result.scores("dot"), result.scores(), atol=0)


def test_traces_say_what_every_stage_did() -> None:
    pipe = cr.Pipeline([cr.Stage(Choosy, depth=6, fusion=cr.WeightedSum(0.25))])
    notes = set()
    for hit in (
        hit for ranking in pipe.rerank(some(), QUERIES, GALLERY).values() for hit in ranking
    ):
        (trace,) = hit.trace
        assert (trace.stage, trace.weight) == ("dot", 0.25)
        assert (trace.score is None) == (trace.normalised is None) == bool(trace.note)
        if trace.score is not None:
            assert type(trace.score) is float and trace.score >= 0.1
        notes.add(trace.note)
    assert notes == {"", "too far apart", "not seen: beyond the stage's depth"}


def test_rankings_are_equal_to_themselves_after_pickle() -> None:
    result = cr.Pipeline(cr.Stage(Choosy, depth=6)).rerank(some(), QUERIES, GALLERY, top_k=4)
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again["t1"] == result["t1"]
    assert pickle.loads(pickle.dumps(result["t1"])) == result["t1"]
    assert result != cr.Pipeline(cr.Stage(DotReranker)).rerank(some(), QUERIES, GALLERY, top_k=4)


def test_collections_may_hold_more_than_the_run_and_in_another_order(tmp_path: Path) -> None:
    candidates = some()
    pipe = cr.Pipeline(cr.Stage(DotReranker))
    before = pipe.rerank(candidates, QUERIES, GALLERY).to_run()
    more = collection(20, "image", seed=1).with_features(
        embedding=np.concatenate([GALLERY["embedding"], np.ones((8, 8), np.float32)])
    )
    shuffled = more.take(np.random.default_rng(0).permutation(20))
    shuffled.save(tmp_path / "g")
    after = pipe.rerank(
        candidates, QUERIES.take([4, 2, 0, 1, 3]), cr.Collection.open(tmp_path / "g")
    )
    assert list(after) == list(QUERIES.ids)
    assert {q: list(m) for q, m in after.to_run().items()} == {
        q: list(m) for q, m in before.items()
    }
    assert shuffled.ids[after["t0"][0].index] == after["t0"][0].id


def test_trec_files_keep_the_order(tmp_path: Path) -> None:
    result = cr.Pipeline(cr.Stage(DotReranker, depth=3)).rerank(some(), QUERIES, GALLERY)
    result.to_trec(tmp_path / "run.trec")
    again = cr.Candidates.from_trec(tmp_path / "run.trec")
    assert {q: list(m) for q, m in again.to_run().items()} == {
        q: list(r.ids) for q, r in result.items()
    }


def test_the_memory_budget_makes_more_blocks() -> None:
    sizes: list[int] = []

    class Counted(DotReranker):
        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            sizes.append(len(block.queries))
            assert len(block.candidates) == len(np.unique(block.index[block.mask]))
            return super().score(block, state)

    cr.Pipeline(cr.Stage(Counted)).rerank(some(), QUERIES, GALLERY)
    assert sizes == [5]
    sizes.clear()
    cr.Pipeline(cr.Stage(Counted)).rerank(some(), QUERIES, GALLERY, memory_budget="2 KB")
    assert sizes == [1] * 5


def test_keep_reaches_the_scorer_only_where_the_rest_does_not_matter() -> None:
    seen: list[int | None] = []

    class Keeping(DotReranker):
        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            seen.append(block.keep)
            return super().score(block, state)

    def run(stages: Sequence[cr.Stage], top_k: int | None) -> list[int | None]:
        seen.clear()
        cr.Pipeline(stages).rerank(some(), QUERIES, GALLERY, top_k=top_k)
        return list(seen)

    replace = cr.Stage(Keeping, fusion=cr.Replace())
    assert run([replace], 3) == [3]
    assert run([replace], None) == [None]
    assert run([replace], 12) == [None]
    assert run([cr.Stage(Keeping)], 3) == [None]
    assert run([replace, replace], 3) == [None, 3]


def test_no_queries_and_empty_lists() -> None:
    pipe = cr.Pipeline(cr.Stage(DotReranker, fusion=cr.Replace()))
    none = pipe.rerank(
        cr.Candidates.from_lists([], candidate_ids=GALLERY.ids), QUERIES.take([]), GALLERY
    )
    assert len(none) == 0
    empty = pipe.rerank(cr.Candidates.from_lists({"t0": []}), QUERIES, GALLERY)
    assert list(empty["t0"]) == []


def test_progress_counts_queries() -> None:
    calls: list[tuple[str, int, int]] = []
    cr.Pipeline(cr.Stage(DotReranker)).rerank(
        some(), QUERIES, GALLERY, memory_budget="2 KB", progress=lambda *call: calls.append(call)
    )
    assert calls == [("rerank: dot", n, 5) for n in range(1, 6)]


def test_collections_on_disk_give_the_same(tmp_path: Path) -> None:
    for name, side in (("queries", QUERIES), ("gallery", GALLERY)):
        side.save(tmp_path / name)
    queries, gallery = (cr.Collection.open(tmp_path / name) for name in ("queries", "gallery"))
    assert gallery.is_stored(["embedding"]) and not GALLERY.is_stored(["embedding"])
    pipe = cr.Pipeline(cr.Stage(DotReranker))
    for budget in ("2 KB", "1 GB"):
        there = pipe.rerank(some(), queries, gallery, memory_budget=budget)
        here = pipe.rerank(some(), QUERIES, GALLERY, memory_budget=budget)
        np.testing.assert_allclose(there.to_similarity(), here.to_similarity(), atol=1e-6)


@given(st.lists(st.sampled_from(["a", "b", "a#2", "a#3", "a#2#2"]), min_size=1, max_size=6))
def test_stages_always_have_distinct_names(names: list[str]) -> None:
    pipeline = cr.Pipeline([cr.Stage(DotReranker(), name=name) for name in names])
    found = [stage.name for stage in pipeline.stages]
    assert len(set(found)) == len(names)
    for place, name in enumerate(names):
        first = name not in names[:place]
        assert (found[place] == name) == first
        assert found[place].startswith(name)


def test_a_number_that_is_taken_is_left_out() -> None:
    pipeline = cr.Pipeline([cr.Stage(DotReranker(), name=name) for name in ("a#2", "a", "a", "a")])
    assert [stage.name for stage in pipeline.stages] == ["a#2", "a", "a#3", "a#4"]
