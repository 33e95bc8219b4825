"""Rows stored in fewer bytes: what is lost, and that every way to read them gives the same."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import crossrank as cr
from crossrank._items.compact import Compact, decoded, to_bfloat16, to_int8
from crossrank._items.fingerprint import fingerprint
from crossrank.errors import InputError, MissingFeatureError, StoreError

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32) | st.floats(-1, 1, width=32)
ROWS = arrays.arrays(np.float32, st.tuples(st.integers(0, 9), st.integers(0, 6)), elements=FLOATS)
LENGTHS = [3, 0, 1, 5]


def some(dtype: Any = np.float32) -> cr.Collection:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(sum(LENGTHS), 8)).astype(dtype)
    rows[2] = 0
    embedding = rng.normal(size=(4, 5)).astype(np.float32)
    return cr.Collection(
        list("abcd"),
        "image",
        tokens=cr.Ragged(rows, LENGTHS),
        embedding=embedding,
        text=list("wxyz"),
    )


@given(ROWS)
@settings(deadline=None)
def test_bfloat16_is_the_nearest_one(rows: Any) -> None:
    torch = pytest.importorskip("torch")
    found = decoded(to_bfloat16(rows), "bfloat16")
    expected = torch.from_numpy(rows.copy()).bfloat16().float().numpy()
    np.testing.assert_array_equal(found, expected)
    normal = np.abs(rows) >= np.finfo(np.float32).tiny
    assert (np.abs(found - rows)[normal] <= 2.0**-8 * np.abs(rows)[normal]).all()


@given(ROWS)
@settings(deadline=None)
def test_int8_is_off_by_half_a_step(rows: Any) -> None:
    found = decoded(to_int8(rows), "int8")
    assert found.shape == rows.shape
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0).astype(np.float64)
    bound = largest / 254 * (1 + 1e-5) + 1e-43  # the smallest steps there are
    assert (np.abs(found.astype(np.float64) - rows) <= bound).all()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("source", [np.float32, np.float64, np.float16])
def test_what_is_read_is_the_same_in_every_way(tmp_path: Path, dtype: str, source: Any) -> None:
    before = some(source)
    before.save(tmp_path / "c", dtype={"tokens": dtype})
    opened = cr.Collection.open(tmp_path / "c")
    tokens = opened["tokens"]
    assert tokens.dtype == (np.float16 if dtype == "float16" else np.float32)
    assert tokens.trailing == (8,)
    whole = np.asarray(tokens.flat)
    largest = float(np.abs(whole).max())
    exact = np.asarray(before["tokens"].flat, np.float32)
    loss = {"float32": 0, "float16": 2.0**-11, "bfloat16": 2.0**-8, "int8": 1 / 254}[dtype]
    np.testing.assert_allclose(whole, exact, rtol=0, atol=1.0001 * loss * largest)
    assert (np.abs(whole - exact).max() > 0) == (
        dtype in ("bfloat16", "int8") or (dtype == "float16" and source != np.float16)
    )
    taken = opened.take([3, 1, 0])["tokens"]
    assert type(taken.flat) is np.ndarray
    for place, item in enumerate([3, 1, 0]):
        np.testing.assert_array_equal(taken[place], tokens[item])
    np.testing.assert_array_equal(tokens.flat[2:7], whole[2:7])
    np.testing.assert_array_equal(tokens.flat[[8, 0]], whole[[8, 0]])
    np.testing.assert_array_equal(tokens.flat[4], whole[4])
    np.testing.assert_array_equal(np.concatenate(list(tokens)), whole)
    assert opened == opened.take(range(4))
    assert opened["embedding"].dtype == np.float32
    assert pickle.loads(pickle.dumps(opened)) == opened
    other = pickle.loads(pickle.dumps(opened.with_features(text=list("1234"))))
    np.testing.assert_array_equal(np.asarray(other["tokens"].flat), whole)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_saving_again_keeps_the_codes(tmp_path: Path, dtype: str) -> None:
    some().save(tmp_path / "a", dtype={"tokens": dtype})
    first = cr.Collection.open(tmp_path / "a")
    first.save(tmp_path / "b")
    again = cr.Collection.open(tmp_path / "b")
    assert again.fingerprint() == first.fingerprint()
    assert (tmp_path / "a" / "tokens.npy").read_bytes() == (
        tmp_path / "b" / "tokens.npy"
    ).read_bytes()
    again.save(tmp_path / "c", dtype={"tokens": "float32"})
    wide = cr.Collection.open(tmp_path / "c")
    assert isinstance(wide["tokens"].flat, np.memmap)
    np.testing.assert_array_equal(wide["tokens"].flat, np.asarray(first["tokens"].flat))
    assert wide.fingerprint() != first.fingerprint()
    assert fingerprint(copy.copy(first["tokens"])) == fingerprint(again["tokens"])
    assert (tmp_path / "a" / "tokens.npy").stat().st_size < (
        tmp_path / "c" / "tokens.npy"
    ).stat().st_size


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "float16"])
def test_numbers_that_do_not_fit_are_refused(tmp_path: Path, dtype: str) -> None:
    for value in (np.nan, np.inf, *([1e6] if dtype == "float16" else [])):
        rows = cr.Ragged(np.array([[1, value]], np.float32), [1])
        with pytest.raises(InputError, match=f"'tokens' holds numbers that {dtype} cannot"):
            cr.Collection(["a"], "image", tokens=rows).save(tmp_path / "c", dtype={"tokens": dtype})
        assert not (tmp_path / "c").exists()


def test_what_cannot_be_stored_so_is_refused(tmp_path: Path) -> None:
    for dtype, error, match in (
        (
            {"tokens": "int4"},
            InputError,
            "cannot be stored as 'int4'; give one of float32, float16",
        ),
        (
            {"embedding": "int8"},
            InputError,
            "'embedding' cannot be stored as 'int8': it is no Ragged",
        ),
        ({"text": "float16"}, InputError, "'text' cannot be stored as 'float16': it is no Ragged"),
        ({"regions": "int8"}, MissingFeatureError, "no feature 'regions'"),
    ):
        with pytest.raises(error, match=match):
            some().save(tmp_path / "c", dtype=dtype)
    counts = cr.Collection(["a"], "image", tokens=cr.Ragged(np.ones((2, 3), np.int64), [2]))
    with pytest.raises(InputError, match="only floats can be stored"):
        counts.save(tmp_path / "c", dtype={"tokens": "int8"})


def test_embeddings_may_be_halved(tmp_path: Path) -> None:
    some().save(tmp_path / "c", dtype={"embedding": "float16"})
    assert cr.Collection.open(tmp_path / "c")["embedding"].dtype == np.float16


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    some().save(tmp_path / "c", dtype={"tokens": "int8"})
    manifest = tmp_path / "c" / "collection.json"
    text = manifest.read_text()
    manifest.write_text(text.replace("ragged int8", "ragged bfloat16"))
    with pytest.raises(StoreError, match=r"tokens\.npy: int8 of shape \(9, 12\) are no rows of bf"):
        cr.Collection.open(tmp_path / "c")
    manifest.write_text(text.replace("ragged int8", "ragged int4"))
    with pytest.raises(StoreError, match="unknown kind 'ragged int4'"):
        cr.Collection.open(tmp_path / "c")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_run_over_codes_equals_one_over_what_they_stand_for(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, 12)
    tokens = cr.Ragged(rng.normal(size=(int(lengths.sum()), 6)).astype(np.float32), lengths)
    folder = tmp_path_factory.mktemp("compact") / "c"
    made = cr.Collection(map(str, range(12)), "image", tokens=tokens, normalise=True)
    made.save(folder, {"tokens": "int8"})
    stored = cr.Collection.open(folder)
    assert isinstance(stored["tokens"].flat, Compact)
    assert stored.is_stored(["tokens"])
    words = cr.Ragged(rng.normal(size=(9, 6)).astype(np.float32), [3] * 3)
    queries = cr.Collection(["x", "y", "z"], "text", tokens=words, normalise=True)
    candidates = cr.Candidates.from_similarity(
        rng.normal(size=(12, 3)), "t2i", 5, image_ids=stored.ids, text_ids=queries.ids
    )
    pipe = cr.Pipeline(cr.Stage("filip"))
    here = pipe.rerank(candidates, queries, stored.take(range(12)), memory_budget="9 KB")
    assert pipe.rerank(candidates, queries, stored, memory_budget="9 KB") == here
