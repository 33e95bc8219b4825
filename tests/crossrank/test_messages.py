"""What a newcomer gives first: taken where it is plain, else told what to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import (
    FormatError,
    MissingFeatureError,
    OrientationError,
    UnknownIdError,
)
from toys.basic import DotReranker

EYE = np.eye(3, 4, dtype=np.float32)
TEXTS = cr.Collection(["x", "y"], "text", embedding=EYE[:2])
PICTURES = cr.Collection(["a", "b", "<b>c</b>"], "image", embedding=EYE)


def ranked() -> cr.Rankings:
    lists = cr.search(TEXTS, PICTURES, depth=3)
    return cr.Pipeline(cr.Stage(DotReranker)).rerank(lists, TEXTS, PICTURES)


def test_tokens_of_one_length_become_rows_of_items() -> None:
    tokens = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    made = cr.Collection(["a", "b"], "image", tokens=tokens)["tokens"]
    assert isinstance(made, cr.Ragged)
    np.testing.assert_array_equal(made[1], tokens[1])


def test_a_list_of_arrays_of_different_lengths_too() -> None:
    parts = [np.ones((2, 4), np.float32), np.zeros((3, 4), np.float32)]
    made = cr.Collection(["a", "b"], "image", tokens=parts)["tokens"]
    assert made.lengths.tolist() == [2, 3]


def test_tensors_of_any_kind() -> None:
    torch = pytest.importorskip("torch")
    for tensor in (
        torch.ones(2, 4, dtype=torch.bfloat16),
        torch.ones(2, 4, requires_grad=True),
        torch.ones(2, 4, dtype=torch.float16),
    ):
        made = cr.Collection(["a", "b"], "image", embedding=tensor)["embedding"]
        np.testing.assert_array_equal(made, np.ones((2, 4)))
        lists = cr.Candidates.from_similarity(tensor, "i2t")
        assert len(lists) == 2
        result = cr.evaluate_matrix(tensor, "t2i", captions_per_image=2, resamples=0)
        assert result is not None
    parts = [torch.ones(2, 4, requires_grad=True), torch.ones(3, 4)]
    made = cr.Collection(["a", "b"], "image", tokens=parts)["tokens"]
    assert made.lengths.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("id", "ids are no feature: take .ids"),
        ("ids", "ids are no feature: take .ids"),
        ("a", "take([collection.row('a')])"),
        (0, "take([0])"),
        ("tokens", "encode it again with that feature"),
    ],
)
def test_advice_on_what_is_no_feature(name: Any, says: str) -> None:
    with pytest.raises(MissingFeatureError) as caught:
        PICTURES[name]
    assert says in str(caught.value)


def test_public_modules_are_there_without_an_import() -> None:
    package: Any = cr
    assert package.testing.check_reranker is not None
    assert package.report is not None


def test_candidates_called_by_their_places() -> None:
    lists = cr.Candidates.from_similarity(np.ones((3, 2)), "t2i")
    with pytest.raises(
        UnknownIdError, match=r"call the .* by their places.*query_ids=queries\.ids"
    ):
        cr.Pipeline(cr.Stage(DotReranker)).rerank(lists, TEXTS, PICTURES)


def test_an_empty_run_is_told(tmp_path: Path) -> None:
    path = tmp_path / "base.trec"
    path.write_text("\n\n")
    with pytest.raises(FormatError, match="holds no line of a run"):
        cr.Candidates.from_trec(path)


def test_matrices_whose_rows_are_texts() -> None:
    matrix = np.random.default_rng(0).normal(size=(4, 4))
    plain = cr.evaluate_matrix(matrix, captions_per_image=1, resamples=0)
    turned = cr.evaluate_matrix(matrix.T, captions_per_image=1, resamples=0, rows="texts")
    assert plain.rsum == turned.rsum
    with pytest.raises(OrientationError, match="give 'images' or 'texts'"):
        cr.evaluate_matrix(matrix, captions_per_image=1, rows="columns")  # type: ignore[call-overload]


def test_a_ranking_by_its_place() -> None:
    rankings = ranked()
    assert rankings[0] == rankings["x"]
    assert rankings[-1] == rankings["y"]
    with pytest.raises(IndexError):
        rankings[2]


def test_a_notebook_shows_lists_and_no_markup_of_theirs() -> None:
    rankings = ranked()
    for shown in (rankings._repr_html_(), rankings[0]._repr_html_()):
        assert "<table>" in shown
        assert "<b>" not in shown
        assert "&lt;b&gt;c&lt;/b&gt;" in shown
        assert "dot" in shown


def test_records_and_frames() -> None:
    rankings = ranked()
    record = json.loads(json.dumps(rankings.to_dict()))
    assert [each["query_id"] for each in record["queries"]] == ["x", "y"]
    assert record["queries"][0]["hits"][0]["id"] == rankings[0][0].id
    pytest.importorskip("pandas")
    table = rankings.to_frame()
    assert len(table) == 6
    assert {"query_id", "rank", "id", "score", "base_rank", "base_score", "raw.dot"} <= set(table)
    assert len(rankings[0].to_frame()) == 3
