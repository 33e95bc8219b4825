"""What the closing line and the JSON of ``crossrank rerank`` say besides the rankings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank.cli._commands.rerank import abstentions, json_document, summary


class Some(cr.Reranker):
    """Knows nothing of the second query, and not the first candidate of the third."""

    info = cr.RerankerInfo(name="some", summary="abstains here and there")

    def score(self, block: cr.Block, state: object) -> cr.Scores:
        values = np.arange(block.index.size, dtype=np.float32).reshape(block.index.shape)
        silent = (block.query_rows == 1)[:, None] & block.mask
        silent |= (block.query_rows == 2)[:, None] & (np.arange(block.index.shape[1]) == 0)
        return cr.Scores(values, silent, "no noun")


@pytest.fixture
def rankings() -> cr.Rankings:
    """Rerank three lists of three."""
    run = {f"q{n}": {"a": 0.3, "b": 0.2, "c": 0.1} for n in range(3)}
    queries = cr.Collection(list(run), "text")
    gallery = cr.Collection(["a", "b", "c"], "image")
    return cr.Pipeline(cr.Stage(Some)).rerank(cr.Candidates.from_run(run), queries, gallery)


def test_abstentions_are_counted(rankings: cr.Rankings) -> None:
    assert abstentions(rankings) == [{"stage": "some", "pairs": 4, "lists": 1}]
    assert summary(rankings).endswith("; some abstained on 4 pairs, all of 1 lists")
    head = json.loads("\n".join(json_document(rankings)))
    assert head["abstained"] == [{"stage": "some", "pairs": 4, "lists": 1}]
    assert head["looks_at_other_queries"] is False


def test_a_run_that_looks_at_other_queries_says_so(rankings: cr.Rankings, tmp_path: Path) -> None:
    assert summary(rankings, transductive=True).endswith("; looks at the other queries")
    pipeline = cr.Pipeline(cr.Stage(Some, fusion=cr.WeightedSum(statistics="run")))
    assert pipeline.transductive and not cr.Pipeline(cr.Stage(Some)).transductive
    run = {"q0": {"a": 0.3, "b": 0.2}}
    sides = cr.Collection(["q0"], "text"), cr.Collection(["a", "b"], "image")
    pipeline.rerank_to(tmp_path / "run", cr.Candidates.from_run(run), *sides)
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert told["looks_at_other_queries"] is True
