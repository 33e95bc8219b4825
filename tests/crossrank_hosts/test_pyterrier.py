"""PyTerrier: frames of several queries, empty ones, and pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crossrank as cr

pt = pytest.importorskip("pyterrier", reason="pyterrier is not installed; make test-hosts")

import pandas as pd

from crossrank_hosts.pyterrier import CrossrankTransformer

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


@pytest.fixture
def frame(photos: list[Path]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "qid": ["q2"] * 5 + ["q1"] * 3,
            "query": ["a dog"] * 5 + ["a cat"] * 3,
            "docno": [f"d{n}" for n in (0, 1, 2, 3, 4, 2, 0, 1)],
            "image_path": [str(photos[n]) for n in (0, 1, 2, 3, 4, 2, 0, 1)],
            "score": [5.0, 4.0, 3.0, 2.0, 1.0, 9.0, 8.0, 7.0],
            "rank": [0, 1, 2, 3, 4, 0, 1, 2],
            "mine": list("abcdefgh"),
        }
    )


def test_each_query_is_ranked_by_itself(frame: pd.DataFrame, photos: list[Path]) -> None:
    found = CrossrankTransformer(**SETTINGS)(frame)
    assert list(found["qid"].drop_duplicates()) == ["q2", "q1"]
    assert set(frame.columns) <= set(found.columns)
    for qid, own in found.groupby("qid", sort=False):
        given = frame[frame["qid"] == qid]
        order = cr.rerank(
            given["query"].iloc[0],
            [Path(path) for path in given["image_path"]],
            base_scores=list(given["score"]),
            **SETTINGS,
        )
        assert list(own["docno"]) == [given["docno"].iloc[hit.index] for hit in order]
        assert list(own["mine"]) == [given["mine"].iloc[hit.index] for hit in order]
        assert list(own["rank"]) == list(range(len(own)))
        assert list(own["score"]) == sorted(own["score"], reverse=True)


def test_an_empty_frame_keeps_its_columns(frame: pd.DataFrame) -> None:
    found = CrossrankTransformer(**SETTINGS)(frame.iloc[:0])
    assert len(found) == 0
    assert {*frame.columns, "base_score", "base_rank", "trace"} == set(found.columns)


def test_it_stands_in_a_pipeline(frame: pd.DataFrame) -> None:
    source = pt.Transformer.from_df(frame)
    topics = frame[["qid", "query"]].drop_duplicates()
    found = (source >> CrossrankTransformer(**SETTINGS) % 2)(topics)
    assert found.groupby("qid").size().max() == 2


def test_equal_settings_are_equal_transformers() -> None:
    one, same = CrossrankTransformer(**SETTINGS, top_k=3), CrossrankTransformer(**SETTINGS, top_k=3)
    assert one == same
    assert hash(one) == hash(same)
    assert one != CrossrankTransformer(**SETTINGS)
    assert one != CrossrankTransformer("filip", encoder="toy", top_k=3)


def test_a_missing_column_is_named(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="docno"):
        CrossrankTransformer(**SETTINGS)(frame.drop(columns=["docno"]))
    with pytest.raises(ValueError, match="photo"):
        CrossrankTransformer(column="photo", **SETTINGS)(frame)


def test_java_is_not_started(frame: pd.DataFrame) -> None:
    CrossrankTransformer(**SETTINGS)(frame)
    assert not pt.java.started()
