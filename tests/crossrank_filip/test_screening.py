"""Screening in bfloat16 never changes which candidates are best, nor their scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank_filip.interaction import MeanOver, late_interaction
from crossrank_filip.screening import Rounded, multiplies_bfloat16, screened, worthwhile

Problem = tuple[cr.Ragged, cr.Ragged, NDArray[np.int64], NDArray[np.bool_]]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Lists in which many candidates nearly tie, or hardly any do, of any length of tokens."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim = draw(st.sampled_from([1, 3, 16, 64]))
    lengths = rng.integers(1, 6, 3), rng.integers(1, 9, draw(st.integers(1, 40)))
    rows = [rng.normal(size=(int(each.sum()), dim)) for each in lengths]
    rows[1] *= draw(st.sampled_from([1.0, 1e-3, -50.0]))
    if draw(st.booleans()):  # near ties: all candidates are one, moved by less than the rounding
        rows[1] = rng.normal(size=dim) * (1 + 1e-3 * rng.normal(size=(len(rows[1]), 1)))
    if draw(st.booleans()):  # some exact in bfloat16, the others not: their errors differ
        some = rng.random(len(rows[1])) < 0.5
        rows[1][some] = np.round(rows[1][some] * 4) / 4
    queries, candidates = (
        cr.Ragged(flat.astype(np.float32), each) for flat, each in zip(rows, lengths, strict=True)
    )
    index = np.array([rng.permutation(len(candidates)) for _ in range(3)])
    mask = rng.random(index.shape) < draw(st.sampled_from([0.4, 1.0]))
    return queries, candidates, index, mask


@given(problems(), st.integers(1, 6), st.sampled_from(["queries", "candidates"]))
@settings(max_examples=150, deadline=None)
def test_the_best_are_the_same_and_the_others_stay_below(
    problem: Problem, keep: int, side: MeanOver
) -> None:
    queries, candidates, index, mask = problem
    exact = late_interaction(*problem, mean_over=side)
    found = screened(Rounded.of(queries), Rounded.of(candidates), index, mask, keep, mean_over=side)
    assert found.dtype == np.float32
    for row in range(len(index)):
        places = np.flatnonzero(mask[row])
        best = places[np.argsort(-exact[row, places], kind="stable")][:keep]
        np.testing.assert_allclose(found[row, best], exact[row, best], rtol=1e-5, atol=1e-6)
        others = np.setdiff1d(places, best)
        if len(others):
            tolerance = 1e-5 * float(np.abs(exact[row, places]).max())
            assert found[row, others].max() <= found[row, best].min() + tolerance


def test_most_pairs_are_not_scored_again() -> None:
    """On lists that differ as real ones do; otherwise screening would be a detour."""
    rng = np.random.default_rng(0)
    words = rng.normal(size=(8, 64))
    relevance = rng.uniform(0, 1, 400)
    flat = relevance[:, None, None] * words + rng.normal(size=(400, 8, 64))
    unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (words, flat)]
    queries = cr.Ragged(unit[0].astype(np.float32), [8])
    candidates = cr.Ragged(unit[1].reshape(-1, 64).astype(np.float32), [8] * 400)
    problem = queries, candidates, np.arange(400)[None], np.ones((1, 400), bool)
    exact = late_interaction(*problem)
    found = screened(Rounded.of(queries), Rounded.of(candidates), *problem[2:], 10)
    assert (np.abs(found - exact) > 1e-6).mean() > 0.8
    assert np.abs(found - exact).max() < 8e-3
    assert np.argsort(-found[0])[:10].tolist() == np.argsort(-exact[0])[:10].tolist()


def test_what_overflows_in_bfloat16_is_scored_again() -> None:
    queries = cr.Ragged(np.full((1, 1), 1.0, np.float32), [1])
    values = np.array([3.4e38, 3.3e38, *np.linspace(1, 2, 30)], np.float32)[:, None]
    candidates = cr.Ragged(values, [1] * 32)
    problem = queries, candidates, np.arange(32)[None], np.ones((1, 32), bool)
    found = screened(Rounded.of(queries), Rounded.of(candidates), *problem[2:], 2)
    assert found[0, :2].tolist() == values[:2, 0].tolist()


def test_a_pipeline_screens_what_it_cuts() -> None:
    rng = np.random.default_rng(3)

    def side(modality: str, count: int, tokens: int) -> cr.Collection:
        rows = rng.normal(size=(count * tokens, 32))
        flat = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        ids = [f"{modality}{n}" for n in range(count)]
        return cr.Collection(ids, modality, tokens=cr.Ragged(flat, [tokens] * count))

    queries, gallery = side("text", 6, 4), side("image", 50, 9)
    candidates = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    rankings = [
        cr.Pipeline(cr.Stage("filip", fusion=cr.Replace(), params={"screen": screen})).rerank(
            candidates, queries, gallery, top_k=5
        )
        for screen in ("always", "never")
    ]
    for id in queries.ids:
        assert rankings[0][id].ids == rankings[1][id].ids
        scores = [[hit.score for hit in each[id]] for each in rankings]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_screening_asks_for_long_lists_of_candidates_that_come_often() -> None:
    often = np.ones((100, 50), np.bool_)
    assert worthwhile(often, 60, keep=10)
    assert not worthwhile(often, 60, keep=13)  # 50 candidates are too few
    assert not worthwhile(often[:1], 60, keep=10)  # each candidate would be rounded for one query


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags\t\t: fpu avx2 avx512f\nmodel name : avx512_bf16\n", False),
        ("", False),
    ],
)
def test_the_processor_is_asked(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert multiplies_bfloat16(tmp_path / "cpuinfo") is expected
    assert not multiplies_bfloat16(tmp_path / "missing")


def test_other_words_are_refused() -> None:
    with pytest.raises(ParameterError, match="screen is 'sometimes'; give one of auto, always"):
        cr.Stage("filip", params={"screen": "sometimes"})


def test_a_processor_without_bfloat16_scores_exactly(
    caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    """Where the processor cannot, every pair is exact, and the log says so once."""
    import crossrank_filip.reranker as module

    monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    reranker = module.FilipReranker()
    with caplog.at_level("INFO"):
        assert reranker._native is False
        assert reranker._native is False
    assert caplog.text.count("every pair is scored exactly") == 1
