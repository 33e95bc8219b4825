"""Ranks counted in a matrix against a full sort, and against `evaluate` on lists."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crossrank import Candidates
from crossrank.errors import InputError, OrientationError
from crossrank.evaluation import CaptionMap, evaluate, evaluate_matrix
from crossrank.evaluation._counting import first_ranks_and_groups

ties = st.sampled_from([0.0, 1.0, 2.0])


def naive_ranks(matrix: np.ndarray, pairs: list[tuple[int, int]], direction: str) -> list[float]:
    """Sort every list in full and look for the first item that belongs."""
    scores = matrix.T if direction == "t2i" else matrix
    found = []
    for query, row in enumerate(scores.tolist()):
        relevant = {
            (image if direction == "t2i" else text)
            for image, text in pairs
            if (text if direction == "t2i" else image) == query
        }
        order = sorted(range(len(row)), key=lambda candidate: (-row[candidate], candidate))
        ranks = [rank for rank, candidate in enumerate(order, 1) if candidate in relevant]
        found.append(float(min(ranks, default=np.inf)))
    return found


@st.composite
def mapped(draw: st.DrawFn) -> tuple[np.ndarray, list[list[int]]]:
    """A matrix full of ties, and for each image any texts, also shared ones and none."""
    images, texts = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    matrix = draw(arrays(dtype, (images, texts), elements=ties))
    members = st.lists(st.integers(0, texts - 1), unique=True, max_size=texts)
    return matrix, draw(st.lists(members, min_size=images, max_size=images))


@settings(deadline=None)
@given(mapped(), st.integers(1, 20))
def test_counting_equals_sorting_whatever_the_blocks(
    case: tuple[np.ndarray, list[list[int]]], block: int
) -> None:
    matrix, members = case
    pairs = [(image, text) for image, texts in enumerate(members) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["crossrank.evaluation._counting"], "BLOCK_ENTRIES", block)
        ranks, _ = first_ranks_and_groups(matrix, CaptionMap.from_images(matrix.shape, members))
    for direction in ("t2i", "i2t"):
        assert ranks[direction].tolist() == naive_ranks(matrix, pairs, direction)


@settings(max_examples=50, deadline=None)
@given(mapped(), st.sampled_from(["t2i", "i2t"]))
def test_matrix_and_lists_agree_on_everything(
    case: tuple[np.ndarray, list[list[int]]], direction: str
) -> None:
    matrix, members = case
    qrels = CaptionMap.from_images(matrix.shape, members).qrels(direction)
    after = np.roll(matrix, 1, axis=0)
    both = evaluate_matrix({"a": matrix, "b": after}, image_to_texts=members, resamples=99, seed=3)
    lists = {
        name: Candidates.from_similarity(each, direction)
        for name, each in (("a", matrix), ("b", after))
    }
    listed = evaluate(lists, qrels, resamples=99, seed=3)
    counted = both.t2i if direction == "t2i" else both.i2t
    assert counted.rows == listed.rows
    assert counted.gains == listed.gains
    assert counted.query_ids == listed.query_ids
    np.testing.assert_array_equal(counted.clusters, listed.clusters)


def test_five_captions_per_image_by_hand() -> None:
    matrix = np.zeros((2, 10))
    matrix[0, [0, 7]] = 1.0, 0.9  # image 0 finds its text 0 first; text 7 prefers the wrong image
    matrix[1, 5:] = 0.5
    matrix[1, 2] = 0.7  # image 1 likes a foreign text best
    found = evaluate_matrix(matrix, metrics=["R@1", "MedR", "MeanR", "MRR"])
    assert found.t2i["similarity"] == pytest.approx(
        {"R@1": 80.0, "MedR": 1.0, "MeanR": 1.2, "MRR": 0.9}
    )
    assert found.i2t["similarity"] == pytest.approx(
        {"R@1": 50.0, "MedR": 1.5, "MeanR": 1.5, "MRR": 0.75}
    )
    assert found.t2i.clusters.tolist() == [0] * 5 + [1] * 5
    assert found.i2t.clusters.tolist() == [0, 1]
    assert found.rsum == {}


def test_one_direction_gives_one_evaluation_and_none_gives_both() -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 100))
    both = evaluate_matrix(matrix)
    assert both == evaluate_matrix(matrix, "both")
    assert both.t2i == evaluate_matrix(matrix, "t2i")
    assert both.i2t == evaluate_matrix(matrix, "i2t")
    rows = [both.t2i["similarity"], both.i2t["similarity"]]
    expected = sum(row[metric] for row in rows for metric in ("R@1", "R@5", "R@10"))
    assert both.rsum == {"similarity": pytest.approx(expected)}
    assert f"{expected:.2f}" in str(both) and "RSUM" in both.to_markdown()


def test_text_to_image_says_the_same_as_image_to_texts() -> None:
    matrix = np.random.default_rng(1).normal(size=(3, 5))
    by_text = evaluate_matrix(matrix, text_to_image=[2, 0, -1, 2, 1])
    by_image = evaluate_matrix(matrix, image_to_texts=[[1], [4], [0, 3]])
    assert by_text == by_image
    assert by_text.t2i.notes == ("queries without a relevant item: 1; they count as misses",)


def test_a_memory_mapped_matrix(tmp_path: Path) -> None:
    matrix = np.random.default_rng(2).normal(size=(7, 35)).astype(np.float16)
    np.save(tmp_path / "similarity.npy", matrix)
    mapped = np.load(tmp_path / "similarity.npy", mmap_mode="r")
    assert evaluate_matrix(mapped) == evaluate_matrix(matrix.astype(np.float64))


def test_whole_numbers_and_booleans_are_similarities_too() -> None:
    matrix = np.eye(3, dtype=np.uint8)
    found = evaluate_matrix(matrix, captions_per_image=1, metrics=["R@1"], resamples=0)
    assert found.t2i["similarity"] == found.i2t["similarity"] == {"R@1": 100.0}
    assert evaluate_matrix(
        matrix.astype(bool), captions_per_image=1, metrics=["R@1"], resamples=0
    ).t2i["similarity"] == {"R@1": 100.0}


def test_a_transposed_matrix_is_recognised() -> None:
    with pytest.raises(OrientationError, match="transpose it"):
        evaluate_matrix(np.zeros((10, 2)))


def test_an_unknown_direction() -> None:
    with pytest.raises(OrientationError, match="'t2i', 'i2t', or None"):
        evaluate_matrix(np.zeros((2, 10)), "text2image")  # type: ignore[call-overload]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_similarities_that_are_not_finite_are_named(value: float) -> None:
    matrix = np.zeros((2, 10))
    matrix[1, 3] = value
    with pytest.raises(InputError, match="for image 1 and text 3"):
        evaluate_matrix(matrix)


@pytest.mark.parametrize(
    ("matrix", "arguments", "says"),
    [
        (np.zeros((2, 7)), {}, "7 texts are not 5 for each of 2 images"),
        (np.zeros(5), {}, "must be a matrix"),
        (np.zeros((0, 0)), {}, "must be a matrix"),
        (np.full((1, 5), "x"), {}, "must be a matrix"),
        (np.zeros((1, 5)), {"captions_per_image": 0}, "captions_per_image is 0"),
        (np.zeros((1, 5)), {"captions_per_image": 5, "text_to_image": [0] * 5}, "give one of"),
        (np.zeros((1, 2)), {"text_to_image": [0]}, r"got shape \(1,\)"),
        (np.zeros((1, 2)), {"text_to_image": [0, 1]}, "text 1 belongs to image 1"),
        (np.zeros((1, 2)), {"text_to_image": [0, -2]}, "text 1 belongs to image -2"),
        (np.zeros((1, 2)), {"text_to_image": [0.0, 0.0]}, "float64"),
        (np.zeros((1, 2)), {"image_to_texts": [[0], [1]]}, "2 entries for 1 images"),
        (np.zeros((1, 2)), {"image_to_texts": [[0, 0]]}, "image 0 has the texts"),
        (np.zeros((1, 2)), {"image_to_texts": [[2]]}, "image 0 has the texts"),
        (np.zeros((1, 5)), {"metrics": ["nDCG@5"]}, "needs ranked lists"),
        ({"a": np.zeros((1, 5)), "b": np.zeros((1, 4))}, {}, r"one shape; got 'a' \(1, 5\)"),
        ({}, {}, "got none"),
    ],
)
def test_input_that_does_not_fit(matrix: Any, arguments: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evaluate_matrix(matrix, **arguments)
