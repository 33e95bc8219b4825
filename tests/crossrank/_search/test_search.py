"""The embedded base matcher against a naive loop, with ties, chunks and both engines."""

import importlib.util
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossrank import Collection
from crossrank._search.exact import Screen, best_rows
from crossrank._search.screens import faiss_screen, numpy_screen
from crossrank._search.search import search
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    MissingPackageError,
)

ENGINES = ["numpy", "faiss"]
SCREENS = {"numpy": numpy_screen, "faiss": faiss_screen}
AVAILABLE = ENGINES if importlib.util.find_spec("faiss") else ["numpy"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed")
    return str(request.param)


def vectors(count: int, size: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def texts(embedding: np.ndarray, **kwargs: str) -> Collection:
    ids = [f"q{row}" for row in range(len(embedding))]
    return Collection(ids, "text", embedding=embedding, **kwargs)


def images(embedding: np.ndarray, **kwargs: str) -> Collection:
    ids = [f"g{row}" for row in range(len(embedding))]
    return Collection(ids, "image", embedding=embedding, **kwargs)


def naive(queries: np.ndarray, gallery: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort every row of the float64 product by (score desc, gallery row asc)."""
    index, scores = [], []
    for query in queries.astype(np.float64):
        products = [float(np.einsum("d,d->", query, row)) for row in gallery.astype(np.float64)]
        order = sorted(range(len(gallery)), key=lambda row: (-products[row], row))[:count]
        index.append(order)
        scores.append([products[row] for row in order])
    return np.array(index), np.array(scores)


def found(
    queries: np.ndarray, gallery: np.ndarray, count: int, screen: Screen, *chunks: int
) -> tuple[np.ndarray, np.ndarray]:
    names = ([str(row) for row in range(len(queries))], [str(row) for row in range(len(gallery))])
    gallery_chunk, query_chunk = chunks or (None, None)
    return best_rows(
        queries,
        gallery,
        count,
        screen,
        names,
        lambda what, done, total: None,
        gallery_chunk=gallery_chunk,
        query_chunk=query_chunk,
    )


# few distinct values, so that ties are the rule; and any values at all, far apart in magnitude
grids = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
wild = st.floats(-1e30, 1e30, allow_subnormal=False)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size, elements = draw(st.integers(1, 5)), draw(st.sampled_from([grids, wild]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    queries = draw(arrays(np.float64, (draw(st.integers(1, 5)), size), elements=elements))
    gallery = draw(arrays(np.float64, (draw(st.integers(1, 60)), size), elements=elements))
    return queries.astype(dtype), gallery.astype(dtype)


@settings(max_examples=25, deadline=None)
@given(matrices(), st.integers(1, 60), st.integers(5, 70), st.integers(1, 6))
def test_both_screens_equal_the_loop_whatever_the_chunks(
    pair: tuple[np.ndarray, np.ndarray], count: int, gallery_chunk: int, query_chunk: int
) -> None:
    queries, gallery = pair
    count = min(count, len(gallery))
    _, scores = naive(queries, gallery, count)
    sizes = np.linalg.norm(queries.astype(np.float64), axis=1)
    rounding = 1e-14 * sizes[:, None] * np.linalg.norm(gallery.astype(np.float64), axis=1).max()
    for engine in AVAILABLE:
        rows, products = found(queries, gallery, count, SCREENS[engine], gallery_chunk, query_chunk)
        true = np.einsum("qd,qkd->qk", queries.astype(np.float64), gallery[rows].astype(np.float64))
        assert (np.abs(products - true) <= rounding).all()
        assert (np.abs(products - scores) <= rounding).all()
        assert all(len(set(row)) == count for row in rows.tolist())


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float32, (3, 4), elements=grids),
    arrays(np.float32, (50, 4), elements=grids),
    st.integers(1, 50),
    st.integers(16, 60),
)
def test_ties_go_to_the_lower_gallery_row_also_at_the_boundary(
    queries: np.ndarray, gallery: np.ndarray, count: int, chunk: int
) -> None:
    # products of these numbers are exact, so the loop's order is the only right one
    index, scores = naive(queries, gallery, count)
    for engine in AVAILABLE:
        rows, products = found(queries, gallery, count, SCREENS[engine], chunk, 2)
        np.testing.assert_array_equal(rows, index)
        np.testing.assert_array_equal(products, scores)


def test_rows_closer_than_float32_can_tell_are_told_apart(engine: str) -> None:
    base = vectors(1, 64, seed=0).astype(np.float64)
    steps = np.random.default_rng(1).permutation(200)
    gallery = base * (1 + 1e-12 * steps[:, None])
    found = search(texts(base), images(gallery), depth=10, engine=engine)
    assert found.index[0].tolist() == np.argsort(-steps)[:10].tolist()


@pytest.mark.parametrize("chunk", [10, 64, 200])
def test_rows_that_only_float64_tells_apart_may_lie_in_different_chunks(
    engine: str, chunk: int
) -> None:
    base = vectors(1, 64, seed=0).astype(np.float64)
    rows, noise = np.random.default_rng(2).permutation(200), vectors(200, 64, seed=3)
    # as far as float32 sees these are one row in a different rounding each
    gallery = base * (1 + 1e-12 * rows[:, None]) + 1e-13 * noise
    index, _ = naive(base, gallery, 7)
    found_rows, _ = found(base, gallery, 7, SCREENS[engine], chunk, 1)
    assert found_rows.tolist() == index.tolist()


def test_hundreds_of_equal_rows_beyond_the_margin_of_faiss(engine: str) -> None:
    gallery = np.repeat(vectors(2, 16, seed=3), 300, axis=0)
    queries = vectors(4, 16, seed=4)
    index, _ = naive(queries, gallery, 7)
    rows = search(texts(queries), images(gallery), depth=7, engine=engine).index
    np.testing.assert_array_equal(rows % 300, np.tile(np.arange(7), (4, 1)))
    np.testing.assert_array_equal(rows, index)


def test_engines_agree_to_the_bit_on_many_rows() -> None:
    pytest.importorskip("faiss", reason="faiss is not installed")
    queries, gallery = texts(vectors(60, 48, seed=5)), images(vectors(3000, 48, seed=6))
    left, right = (search(queries, gallery, depth=50, engine=engine) for engine in ENGINES)
    np.testing.assert_array_equal(left.index, right.index)
    assert left.scores is not None and right.scores is not None
    np.testing.assert_array_equal(left.scores, right.scores)
    assert left == search(queries, gallery, depth=50)


def test_chunks_do_not_change_a_bit() -> None:
    queries, gallery = vectors(20, 40, seed=7), vectors(500, 40, seed=8)
    whole = found(queries, gallery, 30, numpy_screen)
    for chunks in ((50, 1), (7, 20), (499, 3), (64, 64)):
        parts = found(queries, gallery, 30, numpy_screen, *chunks)
        np.testing.assert_array_equal(parts[0], whole[0])
        np.testing.assert_array_equal(parts[1], whole[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_any_real_dtype(dtype: type, engine: str) -> None:
    rng = np.random.default_rng(9)
    queries: np.ndarray = rng.integers(-3, 4, (5, 6)).astype(dtype)
    gallery: np.ndarray = rng.integers(-3, 4, (40, 6)).astype(dtype)
    index, scores = naive(queries, gallery, 11)
    result = search(texts(queries), images(gallery), depth=11, engine=engine)
    np.testing.assert_array_equal(result.index, index)
    np.testing.assert_array_equal(result.scores, scores)


def test_zero_vectors_and_huge_and_tiny_ones(engine: str) -> None:
    queries = np.array([[0.0, 0.0], [1e-160, 0.0], [1e150, 1e150]])
    gallery = np.array([[0.0, 0.0], [1e150, -1e150], [1.0, 2.0], [1e-160, 1e-160]])
    index, _ = naive(queries, gallery, 4)
    result = search(texts(queries), images(gallery), engine=engine)
    np.testing.assert_array_equal(result.index, index)


def test_a_memory_mapped_gallery_is_read_once_and_gives_the_same(tmp_path: Path) -> None:
    queries, gallery = texts(vectors(6, 8, seed=10)), images(vectors(90, 8, seed=11))
    gallery.save(tmp_path / "gallery")
    opened = Collection.open(tmp_path / "gallery")
    assert search(queries, opened, depth=9) == search(queries, gallery, depth=9)


def test_result_names_both_sides_and_the_direction(engine: str) -> None:
    queries, gallery = texts(vectors(2, 3, seed=0)), images(vectors(4, 3, seed=1))
    result = search(queries, gallery, depth=3, engine=engine)
    assert (result.query_ids, result.candidate_ids) == (queries.ids, gallery.ids)
    assert (result.direction, result.depth) == ("t2i", 3)
    assert search(gallery, queries).direction == "i2t"


def test_a_gallery_smaller_than_the_depth_is_returned_whole(engine: str) -> None:
    result = search(
        texts(vectors(2, 3, seed=0)), images(vectors(4, 3, seed=1)), depth=100, engine=engine
    )
    assert result.index.shape == (2, 4)


def test_no_queries_and_no_gallery_give_the_same_types(engine: str) -> None:
    some, none = vectors(3, 4, seed=0), np.zeros((0, 4), np.float32)
    nobody = search(texts(none), images(some), depth=2, engine=engine)
    nothing = search(texts(some), images(none), depth=2, engine=engine)
    assert (len(nobody), nobody.depth, nobody.to_run()) == (0, 0, {})
    assert (len(nothing), nothing.depth, nothing.direction) == (3, 0, "t2i")
    assert nothing.to_run() == {"q0": {}, "q1": {}, "q2": {}}
    assert len(search(Collection([], "text", embedding=[]), images(some))) == 0


def test_another_feature_and_progress() -> None:
    queries = Collection(["q"], "text", style=[[1.0, 0.0]])
    gallery = Collection(["a", "b"], "image", style=[[0.0, 1.0], [1.0, 0.0]])
    calls: list[tuple[str, int, int]] = []
    result = search(queries, gallery, feature="style", progress=lambda *call: calls.append(call))
    assert result.to_run() == {"q": {"b": 1.0, "a": 0.0}}
    assert calls == [("search", 2, 2)]


def test_inputs_are_not_written_to() -> None:
    queries, gallery = vectors(3, 4, seed=0), vectors(5, 4, seed=1)
    before = queries.copy(), gallery.copy()
    search(texts(queries).read_only(["embedding"]), images(gallery).read_only(["embedding"]))
    np.testing.assert_array_equal(queries, before[0])
    np.testing.assert_array_equal(gallery, before[1])


def test_embeddings_of_different_size() -> None:
    with pytest.raises(FeatureMismatchError, match="3 numbers in the queries and 4 in the gallery"):
        search(texts(vectors(2, 3, seed=0)), images(vectors(2, 4, seed=0)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_named(value: float, engine: str) -> None:
    good, bad = vectors(5, 3, seed=0), vectors(5, 3, seed=1)
    bad[3, 1] = value
    with pytest.raises(InputError, match="candidate 'g3'"):
        search(texts(good), images(bad), engine=engine)
    with pytest.raises(InputError, match="query 'q3'"):
        search(texts(bad), images(good), engine=engine)


@pytest.mark.parametrize("depth", [0, -1, 2.5, True, None])
def test_depth_must_be_a_positive_whole_number(depth: int) -> None:
    with pytest.raises(InputError, match="depth"):
        search(texts(vectors(2, 3, seed=0)), images(vectors(2, 3, seed=0)), depth=depth)


def test_a_missing_feature_names_the_side() -> None:
    bare = Collection(["a"], "image", text=["words"])
    with pytest.raises(MissingFeatureError, match=r"'embedding', but the gallery \(image\)"):
        search(texts(vectors(1, 3, seed=0)), bare)


def test_a_feature_that_is_no_matrix() -> None:
    odd = Collection(["a"], "image", embedding=np.zeros((1, 2, 3)))
    with pytest.raises(InputError, match=r"no matrix of numbers \[N, D\]"):
        search(texts(vectors(1, 3, seed=0)), odd)


def test_an_unknown_engine_offers_the_nearest() -> None:
    with pytest.raises(InputError, match="'faiss'"):
        search(texts(vectors(1, 3, seed=0)), images(vectors(1, 3, seed=0)), engine="fais")


def test_faiss_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingPackageError, match=r"crossrank\[faiss\]"):
        search(texts(vectors(1, 3, seed=0)), images(vectors(1, 3, seed=0)), engine="faiss")


def test_different_encoders_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    left = texts(vectors(1, 3, seed=0), encoder="lite:1")
    right = images(vectors(1, 3, seed=0), encoder="clip:2")
    with caplog.at_level(logging.WARNING):
        search(left, right)
    assert "lite:1" in caplog.text and "clip:2" in caplog.text
