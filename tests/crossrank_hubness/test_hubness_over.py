"""Corrections of scores: of what stages made of the pairs, and of one stage's own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, InputError
from crossrank.testing import check_reranker, make_collection
from crossrank_hubness.rerankers.invsoftmax import InvsoftmaxReranker
from crossrank_hubness.rerankers.nnn import NnnReranker
from toys.hubness import (
    Matrix,
    collection,
    naive_csls,
    naive_invsoftmax,
    naive_nnn,
    naive_qbnorm,
    product,
    unit_rows,
    whole_lists,
    world,
)

BANK = make_collection("text", 9, seed=7)
CHECKS = [
    check
    for check in (
        *check_reranker(NnnReranker, bank=BANK, k=3, over="filip"),
        *check_reranker(InvsoftmaxReranker, bank=BANK, beta=2.0, over="filip:depth=3"),
    )
    if "-t2i" in str(check)  # a bank of captions does not ask for captions
]


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_promises(check: Callable[[], None]) -> None:
    check()


class Cubes(cr.Reranker):
    """Cubed inner products: another order than theirs, and another scale."""

    info = cr.RerankerInfo("cubes", "", "", ("embedding",), ("embedding",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        calls.append(int(block.mask.sum()))
        s = block.queries["embedding"] @ block.candidates["embedding"].T
        values = np.take_along_axis(s, block.index, axis=1) ** 3 - 0.1
        return cr.Scores(np.where(block.mask, values, 0).astype(np.float32))


calls: list[int] = []


def cubes(queries: cr.Collection, gallery: cr.Collection) -> Matrix:
    return product(queries, gallery) ** 3 - 0.1


def corrected(
    name: str,
    queries: cr.Collection,
    gallery: cr.Collection,
    *before: cr.Stage,
    candidates: cr.Candidates | None = None,
    cache_folder: Path | None = None,
    **params: Any,
) -> Matrix:
    """``[queries, gallery]`` the scores after some stages and a correction that replaces them."""
    pipeline = cr.Pipeline([*before, cr.Stage(name, fusion=cr.Replace(), params=params)])
    lists = whole_lists(queries, gallery) if candidates is None else candidates
    found = pipeline.rerank(lists, queries, gallery, cache_folder=cache_folder)
    return found.to_similarity()


def zscored(s: Matrix) -> Matrix:
    result: Matrix = (s - s.mean(axis=1, keepdims=True)) / s.std(axis=1, keepdims=True)
    return result


NAIVE: list[tuple[str, dict[str, Any], Callable[[Matrix, Matrix], Matrix]]] = [
    ("nnn", {"k": 4, "alpha": 0.5}, lambda s, bank: naive_nnn(s, bank, 4, 0.5)),
    ("csls", {"k": 4}, lambda s, bank: naive_csls(s, bank, 4)),
    ("invsoftmax", {"beta": 3.0}, lambda s, bank: naive_invsoftmax(s, bank, 3)),
    ("qbnorm", {"beta": 3.0, "k": 1}, lambda s, bank: naive_qbnorm(s, bank, 3, 1)),
]


@pytest.mark.parametrize(("name", "params", "naive"), NAIVE, ids=[each[0] for each in NAIVE])
def test_scores_of_the_stages_before_are_corrected(
    name: str, params: dict[str, Any], naive: Callable[[Matrix, Matrix], Matrix]
) -> None:
    queries, gallery, bank = world()
    replaced = cr.Stage(Cubes, fusion=cr.Replace())
    found = corrected(name, queries, gallery, replaced, bank=bank, over="scores", **params)
    wanted = naive(cubes(queries, gallery), cubes(bank, gallery))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)

    def summed(asked: cr.Collection) -> Matrix:
        return zscored(product(asked, gallery)) + 0.5 * zscored(cubes(asked, gallery))

    fused = cr.Stage(Cubes, fusion=cr.WeightedSum(0.5))
    found = corrected(name, queries, gallery, fused, bank=bank, over="scores", **params)
    wanted = naive(summed(queries), summed(bank))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["nnn", "invsoftmax"])
def test_a_stages_own_scores_are_corrected(name: str) -> None:
    queries, gallery, bank = world()
    own = cr.Stage(Cubes, depth=None)
    params, naive = next((given, loop) for each, given, loop in NAIVE if each == name)
    found = corrected(name, queries, gallery, bank=bank, over=own, **params)
    wanted = naive(cubes(queries, gallery), cubes(bank, gallery))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


def test_the_stage_of_a_text_is_that_stage() -> None:
    queries, gallery, bank = make_sides()
    own = corrected("nnn", queries, gallery, bank=bank, over="filip:mode=t2i", k=3)
    before = cr.Stage("filip", fusion=cr.Replace(), params={"mode": "t2i"})
    after = corrected("nnn", queries, gallery, before, bank=bank, over="scores", k=3)
    np.testing.assert_allclose(own, after, rtol=1e-6)


def make_sides() -> tuple[cr.Collection, cr.Collection, cr.Collection]:
    return make_collection("text", 4, seed=0), make_collection("image", 8, seed=1), BANK


def test_what_a_bank_does_not_see_is_its_lowest_score() -> None:
    queries, gallery, bank = world(queries=3, gallery=6, bank=5)
    own = cr.Stage(Cubes, depth=2)
    found = corrected("nnn", queries, gallery, bank=bank, over=own, k=2, alpha=1.0)
    scores, best = cubes(bank, gallery), np.argsort(-product(bank, gallery), axis=1)
    for row, order in enumerate(best):
        scores[row, order[2:]] = scores[row, order[1]]
        low = scores[row, order[:2]].min()
        scores[row, order[2:]] = low
    wanted = naive_nnn(cubes(queries, gallery), scores, 2, 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_without_a_stage_base_scores_are_corrected() -> None:
    queries, gallery, bank = world()
    over_scores = corrected("nnn", queries, gallery, bank=bank, over="scores", k=4)
    np.testing.assert_allclose(
        over_scores, corrected("nnn", queries, gallery, bank=bank, k=4), rtol=1e-5, atol=1e-6
    )


def test_the_banks_lists_are_as_long_as_the_runs() -> None:
    queries, gallery, bank = world(queries=30)
    candidates = cr.search(queries, gallery, depth=5)
    calls.clear()
    fused = cr.Stage(Cubes, fusion=cr.WeightedSum())
    corrected("nnn", queries, gallery, fused, candidates=candidates, bank=bank, over="scores", k=4)
    assert sum(calls) == 5 * (len(queries) + len(bank))


def test_the_runs_own_queries_as_bank() -> None:
    queries, gallery, _ = world()
    before = cr.Stage(Cubes, fusion=cr.Replace())
    stage = cr.Stage("nnn", params={"bank": "queries", "over": "scores"})
    assert cr.Pipeline([before, stage]).transductive
    found = corrected("nnn", queries, gallery, before, bank="queries", over="scores", k=3)
    s = cubes(queries, gallery)
    np.testing.assert_allclose(found, naive_nnn(s, s, 3, 0.75), rtol=1e-4, atol=1e-5)
    own = cr.Stage("nnn", params={"bank": "queries", "over": cr.Stage(Cubes)})
    assert own.scorer.info.transductive


def test_biases_are_kept_and_belong_to_one_gallery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queries, gallery, bank = world()
    own = cr.Stage(Cubes)

    def again(gallery: cr.Collection, **params: Any) -> Matrix:
        calls.clear()
        given = {"bank": bank, "over": own, "k": 4, **params}
        return corrected("nnn", queries, gallery, cache_folder=tmp_path, **given)

    with caplog.at_level(logging.INFO):
        first = again(gallery)
    pairs = len(gallery) * (len(queries) + len(bank))
    assert sum(calls) == pairs
    assert "cubes scored 1,200 pairs of 30 items of the bank" in caplog.text
    np.testing.assert_array_equal(again(gallery), first)
    assert sum(calls) == len(gallery) * len(queries)
    again(gallery, alpha=0.2)  # the same biases
    assert sum(calls) == len(gallery) * len(queries)
    again(gallery, k=5)
    assert sum(calls) == pairs
    rng = np.random.default_rng(5)
    other = collection("g", "image", unit_rows(rng, len(gallery)))
    found = again(other)
    assert sum(calls) == pairs
    wanted = naive_nnn(cubes(queries, other), cubes(bank, other), 4, 0.75)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_small_budgets_score_the_bank_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery, bank = world()
    whole = {
        name: corrected(name, queries, gallery, bank=bank, over=cr.Stage(Cubes), **params)
        for name, params, _ in NAIVE
        if name in ("nnn", "invsoftmax")
    }
    monkeypatch.setattr("crossrank_hubness.bank_scores.PAIR_BYTES", 1 << 22)
    for name, wanted in whole.items():
        params = next(given for each, given, _ in NAIVE if each == name)
        found = corrected(name, queries, gallery, bank=bank, over=cr.Stage(Cubes), **params)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_abstaining_pairs_stay_so() -> None:
    class Silent(Cubes):
        info = cr.RerankerInfo("silent", "", "", ("embedding",), ("embedding",))

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            scores = super().score(block, state)
            return cr.Scores(scores.values, block.mask & (scores.values < 0), "below zero")

    queries, gallery, bank = world()
    stage = cr.Stage("nnn", params={"bank": bank, "k": 3, "over": cr.Stage(Silent)})
    found = cr.Pipeline(stage).rerank(whole_lists(queries, gallery), queries, gallery)
    silent = np.isnan(found.scores("nnn"))
    wanted = np.take_along_axis(cubes(queries, gallery), found.index, axis=1) < 0
    assert silent.any()
    np.testing.assert_array_equal(silent, wanted)
    assert {note.note for hit in found["q0"] for note in hit.trace} >= {"below zero"}


@pytest.mark.parametrize(
    ("name", "over", "says"),
    [
        ("nnn", "", "over is ''"),
        ("nnn", 3, "over is 3"),
        ("csls", "filip", "'scores' after that stage"),
        ("qbnorm", "filip", "'scores' after that stage"),
        ("nnn", "filip:depth=0", "depth"),
    ],
)
def test_a_source_that_there_is_not(name: str, over: Any, says: str) -> None:
    with pytest.raises(CrossrankError, match=says):
        cr.Stage(name, params={"bank": world()[2], "over": over})
    with pytest.raises(CrossrankError, match="scors"):
        cr.Stage("nnn", params={"bank": world()[2], "over": "scors"})


def test_base_scores_that_a_bank_cannot_have_are_refused() -> None:
    queries, gallery, bank = world()
    fused = cr.Stage(Cubes, fusion=cr.WeightedSum())
    candidates = whole_lists(queries, gallery)
    foreign = cr.Candidates.from_run(
        {query: {id: 3 * score for id, score in row.items()} for query, row in
         candidates.to_run().items()},
        candidate_ids=gallery.ids,
    )  # fmt: skip
    with pytest.raises(InputError, match="no inner products"):
        corrected("nnn", queries, gallery, fused, candidates=foreign, bank=bank, over="scores", k=3)
    replaced = cr.Stage(Cubes, fusion=cr.Replace())
    corrected("nnn", queries, gallery, replaced, candidates=foreign, bank=bank, over="scores", k=3)


def test_stages_that_look_at_other_queries_cannot_come_before() -> None:
    queries, gallery, bank = world()
    for before in (
        cr.Stage("dsl"),
        cr.Stage(Cubes, fusion=cr.WeightedSum(statistics="run")),
    ):
        with pytest.raises(InputError, match="looks at the other queries"):
            corrected("nnn", queries, gallery, before, bank=bank, over="scores", k=3)


def test_banks_that_do_not_fit(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, bank = world()
    own = cr.Stage(Cubes)
    with pytest.raises(InputError, match="no item"):
        corrected("nnn", queries, gallery, bank=bank.take([]), over=own, k=1)
    with pytest.raises(InputError, match="holds images"):
        corrected("nnn", queries, gallery, bank=gallery, over=own, k=1)
    broken = bank.with_features(embedding=np.where(np.eye(30, 8) > 0, np.nan, bank["embedding"]))
    with pytest.raises(InputError, match="not finite"):
        corrected("nnn", queries, gallery, bank=broken, over=own, k=1)
    corrected("nnn", queries, gallery, bank=queries, over=own, k=100)
    assert "9 of the run's 9 queries stand in the bank" in caplog.text
    assert "k is 100, but the bank has only 9" in caplog.text


def test_a_run_that_fails_halfway_does_not_keep_what_it_followed(tmp_path: Path) -> None:
    """Scores before a stage are part of what its kept blocks are recognised by."""
    queries, gallery, bank = world()
    candidates = whole_lists(queries, gallery)

    class Flaky(Cubes):
        info = cr.RerankerInfo("flaky", "", "", ("embedding",), ("embedding",))

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            if (tmp_path / "broken").exists():
                raise InputError("today it fails")
            return super().score(block, state)

    before = cr.Stage(Flaky, fusion=cr.Replace())
    after = cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, "k": 3, "over": "scores"})
    whole = cr.Pipeline([before, after]).rerank(candidates, queries, gallery)
    (tmp_path / "broken").touch()
    failing = cr.Pipeline([before])
    failing.rerank_to(tmp_path / "run", candidates, queries, gallery, on_error="base_order")
    (tmp_path / "broken").unlink()
    found = cr.Pipeline([before, after]).rerank_to(tmp_path / "two", candidates, queries, gallery)
    assert found == whole


def test_ablations_tell_what_came_before() -> None:
    queries, gallery, bank = world(queries=12)
    qrels = {query: {gallery.ids[row]: 1} for row, query in enumerate(queries.ids)}
    split = cr.Split(
        candidates=whole_lists(queries, gallery), queries=queries, gallery=gallery, qrels=qrels
    )
    after = cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, "k": 3, "over": "scores"})
    weights = [0.1, 3.0]
    whole = cr.Pipeline([cr.Stage(Cubes), after])
    result = cr.ablate(whole, split, grid={"cubes.weight": weights})
    found = {cell.stages[0]["weight"]: cell.metrics["MRR"] for cell in result.cells if cell.stages}
    for weight in weights:
        pipeline = cr.Pipeline([cr.Stage(Cubes, fusion=cr.WeightedSum(weight)), after])
        rankings = pipeline.rerank(whole_lists(queries, gallery), queries, gallery)
        wanted = cr.evaluate({"x": rankings.to_run()}, qrels, ["MRR"])["x"]["MRR"]
        assert found[weight] == pytest.approx(wanted)
