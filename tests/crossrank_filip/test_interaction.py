"""The exact kernels against the published vectors and a naive loop in float64."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank_filip.interaction import late_interaction

Side = Literal["queries", "candidates"]
SIDES: tuple[Side, ...] = ("queries", "candidates")


def unit(rows: Any) -> NDArray[np.float32]:
    array = np.asarray(rows, np.float64)
    return np.asarray(array / np.linalg.norm(array, axis=-1, keepdims=True), np.float32)


def naive(queries: cr.Ragged, candidates: cr.Ragged, pair: tuple[int, int], side: Side) -> float:
    """The mean over one side's tokens of the max over the other's, one number at a time."""
    asked = queries[pair[0]].astype(np.float64)
    listed = candidates[pair[1]].astype(np.float64)
    outer, inner = (asked, listed) if side == "queries" else (listed, asked)
    return sum(max(float(a @ b) for b in inner) for a in outer) / len(outer)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_the_vectors_of_the_paper_s_equations(name: str) -> None:
    image = unit([[1, 0], [1, 1], [0, 1]])
    text = unit([[1, 0], [0, 1], [-1, -1]])[:2]  # the third token is padding
    only = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for sign, from_image, from_text in ((1, 0.902368927, 1.0), (-1, -0.235702260, None)):
        images, texts = cr.Ragged(sign * image, [3]), cr.Ragged(text, [2])
        scored = late_interaction(images, texts, *only, backend=name)
        assert scored[0, 0] == pytest.approx(from_image, abs=1e-6)
        if from_text is not None:
            scored = late_interaction(texts, images, *only, backend=name)
            assert scored[0, 0] == pytest.approx(from_text, abs=1e-6)


@st.composite
def problems(draw: st.DrawFn) -> tuple[cr.Ragged, cr.Ragged, NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim = draw(st.integers(1, 20))
    lengths = [
        draw(st.lists(st.integers(1, most), min_size=1, max_size=count))
        for most, count in ((7, 5), (60, 6))
    ]
    queries, candidates = (cr.Ragged(rng.normal(size=(sum(n), dim)), n) for n in lengths)
    sign = draw(st.sampled_from([1.0, -1.0]))
    if draw(st.booleans()):  # every similarity negative: what padding would win against
        queries = cr.Ragged(np.abs(queries.flat), queries.lengths)
        candidates = cr.Ragged(-np.abs(candidates.flat), candidates.lengths)
    queries = cr.Ragged((sign * queries.flat).astype(np.float32), queries.lengths)
    candidates = cr.Ragged(candidates.flat.astype(np.float32), candidates.lengths)
    width = draw(st.integers(1, len(candidates)))
    index = np.array([rng.permutation(len(candidates))[:width] for _ in range(len(queries))])
    mask = rng.random(index.shape) < draw(st.sampled_from([0.3, 1.0]))
    return queries, candidates, index, mask


@given(problems(), st.sampled_from(SIDES), st.sampled_from(["numpy", "torch"]))
@settings(max_examples=150, deadline=None)
def test_every_pair_equals_the_loop(
    problem: tuple[cr.Ragged, cr.Ragged, NDArray[Any], NDArray[Any]], side: Side, name: str
) -> None:
    queries, candidates, index, mask = problem
    found = late_interaction(*problem, mean_over=side, backend=name)
    assert found.dtype == np.float32
    assert found.shape == index.shape
    for row, place in np.argwhere(mask):
        expected = naive(queries, candidates, (row, index[row, place]), side)
        assert found[row, place] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize(
    ("words", "patches", "dim", "count"), [(12, 49, 64, 90), (32, 196, 96, 40), (5, 9, 256, 300)]
)
def test_larger_shapes_equal_float64(
    side: Side, name: str, words: int, patches: int, dim: int, count: int
) -> None:
    """Shapes at which the kernels change their ways: uniform, ragged, side by side, gathered."""
    rng = np.random.default_rng(words)
    lengths = rng.integers(1, patches + 1, size=count)
    for kept in (np.full(count, patches), lengths):
        candidates = cr.Ragged(unit(rng.normal(size=(int(kept.sum()), dim))), kept)
        queries = cr.Ragged(unit(rng.normal(size=(3 * words, dim))), [words] * 3)
        for index in (np.tile(np.arange(count), (3, 1)), rng.integers(0, count, (3, 7))):
            mask = np.ones(index.shape, bool)
            found = late_interaction(queries, candidates, index, mask, mean_over=side, backend=name)
            for row, place in ((0, 0), (1, index.shape[1] // 2), (2, -1)):
                asked = queries[row].astype(np.float64)
                listed = candidates[int(index[row, place])].astype(np.float64)
                table = asked @ listed.T
                best = table.max(axis=1) if side == "queries" else table.max(axis=0)
                assert found[row, place] == pytest.approx(best.mean(), abs=1e-5)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_partners_in_a_few_pieces_equal_float64(side: Side, name: str, dtype: type) -> None:
    """Most partners of a query lie side by side, but not all."""
    rng = np.random.default_rng(4)
    lengths = rng.integers(1, 12, size=80)
    flat: NDArray[Any] = unit(rng.normal(size=(int(lengths.sum()), 24))).astype(dtype)
    candidates = cr.Ragged(flat, lengths)
    queries = cr.Ragged(unit(rng.normal(size=(10, 24))), [7, 3])
    index = np.array([[3, *range(20, 75), 79], [0, *range(5, 60), 64]])
    mask = np.ones(index.shape, bool)
    found = late_interaction(queries, candidates, index, mask, mean_over=side, backend=name)
    for row, place in np.argwhere(mask):
        expected = naive(queries, candidates, (row, index[row, place]), side)
        assert found[row, place] == pytest.approx(expected, abs=1e-5)


@given(problems(), st.sampled_from(SIDES), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_and_company_change_nothing(
    problem: tuple[cr.Ragged, cr.Ragged, NDArray[Any], NDArray[Any]], side: Side, random: Any
) -> None:
    queries, candidates, index, mask = problem
    whole = late_interaction(*problem, mean_over=side)
    again = late_interaction(*problem, mean_over=side)
    np.testing.assert_array_equal(whole, again)  # to the bit
    order = random.sample(range(index.shape[1]), index.shape[1])
    shuffled = late_interaction(
        queries, candidates, index[:, order], mask[:, order], mean_over=side
    )
    np.testing.assert_allclose(shuffled, whole[:, order], atol=1e-5, rtol=1e-5)
    for row in range(len(queries)):
        alone = late_interaction(
            queries.take([row]),
            candidates,
            index[row : row + 1],
            mask[row : row + 1],
            mean_over=side,
        )
        np.testing.assert_allclose(alone[0], whole[row], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_float_types_are_read_as_float32(dtype: type) -> None:
    rng = np.random.default_rng(0)
    queries = cr.Ragged(rng.normal(size=(4, 8)).astype(dtype), [4])
    candidates = cr.Ragged(rng.normal(size=(9, 8)).astype(dtype), [4, 5])
    index, mask = np.array([[1, 0]]), np.ones((1, 2), bool)
    found = late_interaction(queries, candidates, index, mask)
    assert found.dtype == np.float32
    assert found[0, 0] == pytest.approx(naive(queries, candidates, (0, 1), "queries"), abs=1e-5)


def test_items_without_tokens_and_other_sizes_are_refused() -> None:
    queries = cr.Ragged(np.ones((2, 3), np.float32), [2, 0])
    candidates = cr.Ragged(np.ones((2, 3), np.float32), [0, 2])
    with pytest.raises(InputError, match="query 1 has no token"):
        late_interaction(queries, candidates, np.array([[1], [1]]), np.ones((2, 1), bool))
    with pytest.raises(InputError, match="candidate 0 has no token"):
        late_interaction(queries, candidates, np.array([[0], [0]]), np.array([[True], [False]]))
    unused = late_interaction(
        queries, candidates, np.array([[1], [1]]), np.array([[True], [False]])
    )
    assert unused.tolist() == [[1 * 3.0], [0.0]]
    narrow = cr.Ragged(np.ones((2, 2), np.float32), [1, 1])
    with pytest.raises(FeatureMismatchError, match="same encoder"):
        late_interaction(queries, narrow, np.array([[0]]), np.ones((1, 1), bool))
