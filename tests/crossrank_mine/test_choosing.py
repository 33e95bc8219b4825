"""Hard negatives against a naive loop, and against sentence-transformers' own where it runs."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import InputError, ParameterError, UnknownIdError
from crossrank_mine import FORMATS, Choice, mine, rows

RUN = {"q": {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.2}, "r": {"b": 0.5, "a": 0.4}}
QRELS = {"q": {"b": 1, "d": 1, "e": 0}, "r": {"x": 1}}


def negatives(**choice: Any) -> list[str]:
    mined = mine(cr.Candidates.from_run(RUN), QRELS, Choice(**choice))
    return [each.id for each in mined.queries[0].negatives]


def test_what_is_high_and_not_relevant_is_hard() -> None:
    assert negatives() == ["a", "c", "e"]
    assert negatives(negatives=1) == ["a"]
    assert negatives(range_min=1) == ["c", "e"]
    assert negatives(range_max=1) == ["a"]


def test_the_lowest_positive_of_the_list_decides_a_margin() -> None:
    assert negatives(absolute_margin=0.0) == ["e"]  # a and c score more than the positive d
    assert negatives(absolute_margin=-0.2) == ["c", "e"]
    assert negatives(relative_margin=0.6) == ["e"]
    assert negatives(relative_margin=0.7) == []
    assert negatives(max_score=0.7) == ["c", "e"]
    assert negatives(min_score=0.7) == ["a", "c"]


def test_a_positive_outside_its_list_has_no_score_and_a_margin_nothing_to_go_by() -> None:
    found = mine(cr.Candidates.from_run(RUN), QRELS)
    assert found.queries[1].positives == (("x", None),)
    assert [each.id for each in found.queries[1].negatives] == ["b", "a"]
    assert found.unlisted == 1
    assert (
        mine(cr.Candidates.from_run(RUN), QRELS, Choice(absolute_margin=0.1)).queries[1].negatives
        == ()
    )


def test_what_says_the_same_as_a_positive_is_no_negative() -> None:
    said = {"a": "a dog", "b": "a dog", "c": "a cat", "d": "two", "e": "a cat", "x": "?"}
    mined = mine(cr.Candidates.from_run(RUN), QRELS, contents=said)
    assert [each.id for each in mined.queries[0].negatives] == ["c"]
    assert mined.twins == 3  # e says what c says, and r's a what its b says
    with pytest.raises(UnknownIdError, match="lists 'a', which the gallery does not have"):
        mine(cr.Candidates.from_run(RUN), QRELS, contents={"b": 1, "d": 2})


def test_a_query_without_a_relevant_item_is_left_out_and_counted() -> None:
    mined = mine(cr.Candidates.from_run(RUN), {"q": {"b": 1}})
    assert [each.query for each in mined.queries] == ["q"]
    assert mined.unjudged == 1
    with pytest.raises(InputError, match="no query of the run has a relevant item"):
        mine(cr.Candidates.from_run(RUN), {"z": {"a": 1}})


def test_what_it_refuses() -> None:
    for wrong in (
        {"negatives": 0},
        {"sampling": "best"},
        {"range_min": 3, "range_max": 3},
        {"absolute_margin": float("nan")},
    ):
        with pytest.raises(ParameterError, match="mine: "):
            Choice(**wrong)
    lists = cr.Candidates.from_lists({"q": ["a", "b"]})
    with pytest.raises(InputError, match="have no scores"):
        mine(lists, QRELS, Choice(absolute_margin=0.1))
    mined = mine(lists, {"q": {"b": 1}})
    with pytest.raises(ParameterError, match="format is 'pairs'; give one of triplet"):
        list(rows(mined, "pairs", {}, {}, count=1))


def test_a_draw_depends_on_seed_and_query_alone() -> None:
    run = {query: {f"c{n}": -float(n) for n in range(50)} for query in ("q", "r", "s")}
    qrels = {query: {"c0": 1} for query in run}
    drawn = mine(cr.Candidates.from_run(run), qrels, Choice(sampling="random", seed=3))
    alone = mine(cr.Candidates.from_run({"r": run["r"]}), qrels, Choice(sampling="random", seed=3))
    other = mine(cr.Candidates.from_run(run), qrels, Choice(sampling="random", seed=4))
    assert drawn.queries[1] == alone.queries[0]
    assert drawn.queries[1] != other.queries[1]
    assert len({each.negatives for each in drawn.queries}) == 3
    for each in drawn.queries:
        scores = [scored.score for scored in each.negatives]
        assert scores == sorted(scores, reverse=True, key=lambda score: score or 0.0)


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]], Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(2, 12))
    run, qrels = {}, {}
    for query in range(draw(st.integers(1, 4))):
        order = rng.permutation(count)
        run[f"q{query}"] = {
            f"c{place}": float(score)
            for place, score in zip(order, np.sort(rng.normal(size=count))[::-1], strict=True)
        }
        relevant = rng.permutation(count)[: draw(st.integers(1, 2))]
        qrels[f"q{query}"] = {f"c{place}": 1 for place in relevant}
    limits = st.none() | st.floats(-1, 1)
    choice = {
        "negatives": draw(st.integers(1, 5)),
        "absolute_margin": draw(limits),
        "relative_margin": draw(limits),
        "min_score": draw(limits),
        "max_score": draw(limits),
        "range_min": draw(st.integers(0, 3)),
    }
    return run, qrels, choice


@given(problems())
@settings(max_examples=150, deadline=None)
def test_every_query_equals_the_loop(problem: Any) -> None:
    run, qrels, choice = problem
    mined = mine(cr.Candidates.from_run(run), qrels, Choice(**choice))
    for each in mined.queries:
        lowest = min(run[each.query][id] for id in qrels[each.query])
        expected = []
        for id, score in sorted(run[each.query].items(), key=lambda member: -member[1]):
            margin, part = choice["absolute_margin"], choice["relative_margin"]
            if id in qrels[each.query]:
                continue
            if margin is not None and score > lowest - margin:
                continue
            if part is not None and score > lowest - abs(lowest) * part:
                continue
            if choice["max_score"] is not None and score > choice["max_score"]:
                continue
            if choice["min_score"] is not None and score < choice["min_score"]:
                continue
            expected.append(id)
        kept = expected[choice["range_min"] :][: choice["negatives"]]
        assert [scored.id for scored in each.negatives] == kept


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("scores", [True, False])
@pytest.mark.parametrize("margins", [{}, {"relative_margin": 0.1}, {"absolute_margin": 0.05}])
def test_the_rows_are_those_of_sentence_transformers(
    format: str, scores: bool, margins: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own function runs here; only the container for its rows, a large package, is a toy."""
    theirs = pytest.importorskip("sentence_transformers.util.hard_negatives")
    monkeypatch.setattr(theirs, "is_datasets_available", lambda: True)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(Dataset=_Dataset))
    rng = np.random.default_rng(1)
    corpus, queries = [f"d{n}" for n in range(30)], [f"q{n}" for n in range(6)]
    vectors = {id: rng.normal(size=4) for id in (*corpus, *queries)}
    vectors = {id: (each / np.linalg.norm(each)).astype("f4") for id, each in vectors.items()}
    pairs = [(query, corpus[(3 * n + m) % 30]) for n, query in enumerate(queries) for m in range(2)]
    anchors, positives = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = theirs.mine_hard_negatives(
        _Dataset({"anchor": anchors, "positive": positives}),
        _Model(vectors),
        corpus=corpus,
        num_negatives=3,
        range_max=28,
        output_format=format,
        output_scores=scores,
        verbose=False,
        **margins,
    )
    run = {query: {id: float(vectors[query] @ vectors[id]) for id in corpus} for query in queries}
    qrels: dict[str, dict[str, int]] = {query: {} for query in queries}
    for query, positive in pairs:
        qrels[query][positive] = 1
    mined = mine(cr.Candidates.from_run(run), qrels, Choice(negatives=3, **margins))
    same = {id: id for id in vectors}
    ours = list(rows(mined, format, same, same, count=3, scores=scores))
    assert found.column_names == list(ours[0])
    assert len(found) == len(ours)
    for name, column in found.columns.items():
        values = [row[name] for row in ours]
        if name.startswith("score"):
            np.testing.assert_allclose(np.hstack(values), np.hstack(column), atol=1e-6)
        else:
            assert values == column


class _Dataset:
    """What ``mine_hard_negatives`` asks of a ``datasets.Dataset``."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self.columns = columns
        self.column_names = list(columns)

    def __len__(self) -> int:
        return len(self.columns[self.column_names[0]])

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]

    def to_pandas(self) -> Any:
        return pytest.importorskip("pandas").DataFrame(self.columns)

    @classmethod
    def from_dict(cls, columns: dict[str, list[Any]]) -> _Dataset:
        return cls(columns)


class _Model:
    """What ``mine_hard_negatives`` asks of a model."""

    device = "cpu"

    def __init__(self, vectors: dict[str, Any]) -> None:
        self.vectors = vectors

    def encode_query(self, texts: list[str], **options: Any) -> Any:
        return np.stack([self.vectors[text] for text in texts])

    encode_document = encode_query

    def similarity(self, queries: Any, corpus: Any) -> Any:
        import torch

        return torch.as_tensor(queries) @ torch.as_tensor(corpus).T

    def similarity_pairwise(self, queries: Any, corpus: Any) -> Any:
        import torch

        return (torch.as_tensor(queries) * torch.as_tensor(corpus)).sum(dim=1)
