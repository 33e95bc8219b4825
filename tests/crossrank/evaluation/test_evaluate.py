"""What `evaluate` takes, what it counts as a miss, and what it says of it."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank._files.trec import write_qrels, write_run
from crossrank.errors import FormatError, InputError, OrientationError, UnknownIdError
from crossrank.evaluation import CaptionMap, as_qrels, evaluate
from toys.basic import DotReranker, collection

QUERIES, GALLERY = collection(5, "text", seed=2), collection(12, "image", seed=1)
QRELS = {query: {GALLERY.ids[row], GALLERY.ids[row + 5]} for row, query in enumerate(QUERIES.ids)}
RUN = {"q1": {"a": 0.9, "b": 0.5}, "q2": {"a": 0.7, "b": 0.2}}


def candidates(seed: int = 0) -> cr.Candidates:
    sims = np.random.default_rng(seed).integers(0, 4, (12, 5)).astype(float)
    return cr.Candidates.from_similarity(
        sims, "t2i", depth=8, image_ids=GALLERY.ids, text_ids=QUERIES.ids
    )


def reranked(**cut: Any) -> cr.Rankings:
    pipeline = cr.Pipeline([cr.Stage(DotReranker, depth=6)])
    return pipeline.rerank(candidates(), QUERIES, GALLERY, **cut)


def test_rankings_stand_beside_their_base_order() -> None:
    found = evaluate(reranked(), QRELS)
    assert (found.names, found.baseline, found.direction) == (("base", "reranked"), "base", "t2i")
    assert found["base"] == evaluate(candidates(), QRELS)["base"]
    assert found["reranked"] == evaluate(reranked().to_run(), QRELS)["run"]
    assert found["base"] != found["reranked"]
    assert found.gains.keys() == {"reranked"}


def test_names_may_be_given_and_the_first_is_the_baseline() -> None:
    systems = {"faiss": candidates(), "filip": reranked(), "run": candidates(1).to_run()}
    found = evaluate(systems, QRELS)
    assert (found.names, found.baseline) == (("faiss", "filip", "run"), "faiss")
    other = evaluate(systems, QRELS, baseline="run")
    assert (other.names, set(other.gains)) == (found.names, {"faiss", "filip"})
    assert other.gains["faiss"]["MRR"].difference == -found.gains["run"]["MRR"].difference
    with pytest.raises(InputError, match="no system 'fais' as baseline; did you mean 'faiss'"):
        evaluate(systems, QRELS, baseline="fais")


def test_named_rankings_alone_bring_their_base_order() -> None:
    assert evaluate({"filip": reranked()}, QRELS).names == ("base", "filip")
    assert evaluate({"base": reranked()}, QRELS).names == ("base",)


@pytest.mark.parametrize("cut", [{"top_k": 3}, {"score_threshold": 0.0}])
def test_an_incomplete_base_order_is_not_shown_as_if_it_were_whole(cut: dict[str, Any]) -> None:
    found = evaluate(reranked(**cut), QRELS)
    assert found.names == ("reranked",)
    assert "base order is incomplete" in found.notes[0]
    pair = evaluate({"base": candidates(), "reranked": reranked(**cut)}, QRELS)
    assert pair["base"]["R@1"] == evaluate(candidates(), QRELS)["base"]["R@1"]


def test_a_cut_that_leaves_the_base_order_whole_is_shown() -> None:
    whole = cr.Pipeline([cr.Stage(DotReranker, depth=3)])
    result = whole.rerank(candidates(), QUERIES, GALLERY, top_k=3)
    assert evaluate(result, QRELS).names == ("base", "reranked")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_every_form_of_a_run_gives_the_same(seed: int) -> None:
    lists = candidates(seed)
    expected = evaluate(lists, QRELS, resamples=0)["base"]
    assert evaluate(lists.to_run(), QRELS, resamples=0)["run"] == expected
    plain = {query: list(members) for query, members in lists.to_run().items()}
    unscored = cr.Candidates.from_lists(plain)
    assert evaluate(unscored, QRELS, resamples=0)["base"] == expected
    none = {query: dict.fromkeys(members) for query, members in plain.items()}
    assert evaluate(none, QRELS, resamples=0)["run"] == expected


def test_files_of_runs_and_qrels(tmp_path: Path) -> None:
    lists = candidates()
    write_run(tmp_path / "faiss.trec", lists.to_run())
    qrels = as_qrels(QRELS)
    write_qrels(tmp_path / "qrels", qrels)
    expected = evaluate(lists, QRELS)["base"]
    for path in (tmp_path / "faiss.trec", str(tmp_path / "faiss.trec")):
        assert evaluate(path, tmp_path / "qrels")["faiss"] == expected
        assert evaluate({"mine": path}, str(tmp_path / "qrels"))["mine"] == expected
    with pytest.raises(FormatError, match=r"nowhere\.trec"):
        evaluate(tmp_path / "nowhere.trec", QRELS)


@pytest.mark.parametrize(
    "qrels",
    [
        {"q1": "a", "q2": "b"},
        {"q1": {"a"}, "q2": {"b"}},
        {"q1": ["a", "a"], "q2": ("b",)},
        {"q1": {"a": 1, "b": 0}, "q2": {"b": np.int64(2), "a": -1}},
        {"q1": {"a": 1.0}, "q2": {"b": True}},
    ],
)
def test_every_form_of_qrels_gives_the_same(qrels: Any) -> None:
    assert evaluate(RUN, qrels, ["R@1", "MRR"])["run"] == {"R@1": 50.0, "MRR": 0.75}


@pytest.mark.parametrize(
    ("qrels", "says"),
    [
        ({}, "no query"),
        ({"q1": 3}, "qrels of query 'q1' are a int"),
        ({"q1": {"a": 0.5}}, "relevance of 'a' for query 'q1' is 0.5"),
        ({"q1": {"a": "yes"}}, "is 'yes'"),
        ({"q1": {"a": float("nan")}}, "is nan"),
        ({"q1": None}, "are a NoneType"),
    ],
)
def test_qrels_that_cannot_be_read(qrels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluate(RUN, qrels)


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (None, "cannot read a NoneType"),
        ([RUN], "cannot read a list"),
        ({"base": [1, 2]}, "'base' is a list"),
        ({"q1": ["a", "b"]}, "'q1' is a list"),
        ({"base": RUN, "after": None}, "'after' is a NoneType"),
        ({"q1": {"a": float("nan")}}, "score of candidate 'a' for query 'q1' is nan"),
        ({"q1": {"a": float("inf")}}, "is inf"),
        ({"q1": {"a": 1.0, "b": None}}, "is None"),
        ({"q1": {"a": "0.5"}}, "'q1' is a dict"),
        ({"q1": {}}, "every list is empty"),
        ({}, "every list is empty"),
    ],
)
def test_runs_that_cannot_be_read(run: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluate(run, {"q1": "a"})


def test_missing_and_unknown_queries_are_counted_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = {"q1": {"a": 1.0}, "x": {"a": 1.0}, "y": {"b": 1.0}}
    qrels = {"q1": {"a"}, "q2": {"b"}, "q3": {"a"}, "q4": set()}
    with caplog.at_level(logging.WARNING):
        found = evaluate(run, qrels, ["R@1"])
    assert found["run"]["R@1"] == 25.0
    assert len(found.query_ids) == 4
    assert found.notes == (
        "queries without a relevant item in the qrels: 1; they count as misses",
        "run: queries without a list: 3; they count as misses",
        "run: queries that the qrels do not know: 2; left out",
    )
    assert all(note in caplog.text for note in found.notes)


def test_the_qrels_of_the_other_direction_are_refused() -> None:
    pairs = CaptionMap.by_count((3, 6), 2)
    images, texts = ["i0", "i1", "i2"], [f"t{number}" for number in range(6)]
    sims = np.random.default_rng(0).normal(size=(3, 6))
    lists = cr.Candidates.from_similarity(sims, "t2i", image_ids=images, text_ids=texts)
    with pytest.raises(UnknownIdError, match="know 'i0', the lists 't0'"):
        evaluate(lists, pairs.qrels("i2t", images, texts))


def test_ids_that_match_nothing_are_suspected() -> None:
    found = evaluate(RUN, {"q1": "a.jpg", "q2": "b.jpg"}, ["R@1"])
    assert found["run"]["R@1"] == 0.0
    assert "do the ids match the qrels?" in found.notes[0]


def test_directions_do_not_mix() -> None:
    sims = np.random.default_rng(0).normal(size=(3, 3))
    t2i, i2t = (cr.Candidates.from_similarity(sims, way) for way in ("t2i", "i2t"))
    qrels = {str(number): str(number) for number in range(3)}
    with pytest.raises(OrientationError, match="i2t and t2i cannot be compared"):
        evaluate({"a": t2i, "b": i2t}, qrels)
    with pytest.raises(OrientationError, match="i2t and t2i"):
        evaluate(t2i, qrels, direction="i2t")
    assert evaluate(t2i.to_run(), qrels, direction="t2i").direction == "t2i"


def test_inputs_are_not_written_to() -> None:
    run = {query: dict(members) for query, members in RUN.items()}
    qrels = {"q1": {"a": 2}, "q2": {"b": 1}}
    evaluate({"base": run, "after": run}, qrels, ["R@1", "nDCG@5"])
    assert run == RUN and qrels == {"q1": {"a": 2}, "q2": {"b": 1}}


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, crossrank, crossrank.evaluation, crossrank.report\n"
        "import crossrank._search.search, crossrank._items.captions\n"
        "from crossrank.evaluation import evaluate\n"
        "evaluate({'q': {'a': 1.0}}, {'q': 'a'})\n"
        "heavy = {'scipy.stats', 'ir_measures', 'faiss', 'torch', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
