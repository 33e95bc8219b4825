"""Queries of several parts."""

import numpy as np
import pytest

from crossrank import Collection, Ragged
from crossrank._items.compose import compose

PICTURES = Collection(
    ["p0", "p1"],
    "image",
    embedding=np.array([[1.0, 0.0], [0.0, 1.0]], np.float32),
    tokens=Ragged(np.arange(6.0).reshape(3, 2), [1, 2]),
    size=[[1, 1], [2, 2]],
)
TEXTS = Collection(
    ["t0"],
    "text",
    embedding=np.array([[0.0, 1.0]], np.float32),
    tokens=Ragged(np.full((2, 2), 9.0), [2]),
    text=["a dog"],
)


def test_tokens_are_strung_together_and_embeddings_averaged() -> None:
    both = compose([(PICTURES, 0), (TEXTS, 0), (PICTURES, 1)], [[0, 1], [2]], ["q", "r"])
    assert (both.ids, both.modality) == (("q", "r"), "image+text")
    assert both.features == ("embedding", "tokens")
    np.testing.assert_allclose(both["embedding"], [[0.5**0.5, 0.5**0.5], [0.0, 1.0]], rtol=1e-6)
    np.testing.assert_array_equal(both["tokens"][0], [[0, 1], [9, 9], [9, 9]])
    np.testing.assert_array_equal(both["tokens"][1], [[2, 3], [4, 5]])


def test_texts_are_joined_and_opposite_embeddings_give_zero_not_nan() -> None:
    texts = Collection(
        ["a", "b"], "text", text=["red", "dog"], embedding=np.array([[1.0], [-1.0]], np.float32)
    )
    both = compose([(texts, 0), (texts, 1)], [[0, 1]], ["q"])
    assert both["text"] == ("red dog",)
    assert both["embedding"] == pytest.approx(np.zeros((1, 1)))
