"""Rows that are promised to have unit length: refused, or scaled on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.unit_rows import check_unit_rows, unit

ROWS = np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32)
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
LENGTHS = [3, 4, 5]


def pictures(flat: NDArray[Any], normalise: bool = False) -> cr.Collection:
    tokens = cr.Ragged(flat, LENGTHS)
    return cr.Collection(["a", "b", "c"], "image", normalise=normalise, tokens=tokens)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_stores_of_every_type_pass(dtype: str, tmp_path: Path) -> None:
    pictures(UNIT).save(tmp_path / "gallery", dtype={"tokens": dtype})
    stored = cr.Collection.open(tmp_path / "gallery")
    check_unit_rows("toy", stored, "tokens", np.arange(3))
    nine = pictures(9 * UNIT)
    nine.save(tmp_path / "nine")
    with pytest.raises(InputError, match=r"toy: 'tokens' must be rows of unit length.*length 9"):
        check_unit_rows("toy", cr.Collection.open(tmp_path / "nine"), "tokens", np.arange(3))


def test_arrays_zeros_and_nothing() -> None:
    embedded = cr.Collection(["a", "b"], "text", embedding=9 * UNIT[:2])
    with pytest.raises(InputError, match="normalise=True"):
        check_unit_rows("toy", embedded, "embedding", np.arange(2))
    check_unit_rows(
        "toy", embedded.with_features(embedding=0 * ROWS[:2]), "embedding", np.arange(2)
    )
    none = cr.Collection(["a"], "image", tokens=cr.Ragged(UNIT[:0], [0]))
    check_unit_rows("toy", none, "tokens", np.arange(1))


def test_they_are_scaled_on_request() -> None:
    for made in (
        pictures(9 * ROWS, normalise=True),
        pictures(9 * ROWS).with_features(normalise=True),
    ):
        np.testing.assert_allclose(made["tokens"].flat, UNIT, rtol=1e-6)
    raw = cr.Collection(["a"], "image", normalise=True, regions=cr.Ragged(9 * ROWS, [12]))
    np.testing.assert_array_equal(raw["regions"].flat, 9 * ROWS)  # these promise nothing
    zero = cr.Collection(["a"], "text", normalise=True, embedding=np.zeros((1, 3)))
    np.testing.assert_array_equal(zero["embedding"], 0)


def test_filip_refuses_what_is_nine_times_too_long() -> None:
    pytest.importorskip("torch")
    texts = cr.Collection(["x"], "text", tokens=cr.Ragged(UNIT[:2], [2]))
    lists = cr.Candidates.from_lists([["a", "b"]], query_ids=["x"], candidate_ids=["a", "b", "c"])
    run = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace()))
    with pytest.raises(InputError, match=r"filip: 'tokens'.*image 'a'"):
        run.rerank(lists, texts, pictures(9 * UNIT))
    long = pictures(9 * UNIT).with_features(normalise=True)
    assert run.rerank(lists, texts, long)[0].ids == run.rerank(lists, texts, pictures(UNIT))[0].ids


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unit_scales_rows_in_their_type_and_leaves_zeros(dtype: type) -> None:
    rows: NDArray[Any] = np.array([[3.0, 4.0], [0.0, 0.0]], dtype)
    made = unit(rows)
    assert made.dtype == dtype
    assert np.allclose(made, [[0.6, 0.8], [0.0, 0.0]])
    assert rows.tolist() == [[3.0, 4.0], [0.0, 0.0]]
