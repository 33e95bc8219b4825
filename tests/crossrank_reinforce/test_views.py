"""Views of pictures and variants of texts: drawn from a seed, the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    InputError,
    ParameterError,
)
from crossrank_reinforce import Crop, Pairs, reinforce, seed_of, without_words
from toys.reinforce import Means, content


def test_views_differ_and_come_again(pairs: Pairs, tmp_path: Path) -> None:
    one = reinforce(pairs, Means(), tmp_path / "a", views=3, variants=2)
    two = reinforce(pairs, Means(), tmp_path / "b", views=3, variants=2)
    assert content(one.folder) == content(two.folder)
    table = one.feature("image", "embedding")
    assert len(np.unique(np.asarray(table), axis=0)) == 12
    other = reinforce(pairs, Means(), tmp_path / "c", views=3, variants=2, seed=1)
    assert not np.array_equal(table, other.feature("image", "embedding"))


class Own(Means):
    """Makes its views itself, of the seeds alone."""

    def raw(self, item: cr.Item, modality: str) -> np.ndarray:
        if modality == "text":
            return super().raw(item, modality)
        return np.random.default_rng(int(item.features["augmentation_seed"])).random(12) + 0.1


def test_teachers_may_make_views_themselves(pairs: Pairs, tmp_path: Path) -> None:
    store = reinforce(pairs, Own(), tmp_path / "s", views=2, augmentation="own", seed=3)
    seed: dict[str, Any] = {"augmentation_seed": store.seed(2, 1)}
    expected = Own().raw(cr.Item("0", **seed), "image")
    found = store.targets([2], [1], [0], [0])[0].images[0]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=2**-10)
    with pytest.raises(InputError, match="augmentation is 'crop'; give a callable, or 'own'"):
        reinforce(pairs, Own(), tmp_path / "t", augmentation="crop")


def test_given_and_made_variants(pairs: Pairs, tmp_path: Path) -> None:
    given_texts = {str(item.id): [f"given {item.id}"] for item in pairs.texts}
    store = reinforce(pairs, Means(), tmp_path / "a", variants=2, given=given_texts)
    assert store.text(3, 1) == f"given {pairs.texts[3].id}"
    store = reinforce(
        pairs, Means(), tmp_path / "b", variants=3, make=lambda text, seed: f"{text} {seed % 7}"
    )
    assert store.text(0, 0) == pairs.texts[0].text
    assert store.text(0, 1) == f"{pairs.texts[0].text} {seed_of(0, str(pairs.texts[0].id), 1) % 7}"
    del given_texts[str(pairs.texts[5].id)]
    with pytest.raises(InputError, match=f"{pairs.texts[5].id}' has 0 variants, 1 are needed"):
        reinforce(pairs, Means(), tmp_path / "c", variants=2, given=given_texts)
    with pytest.raises(InputError, match="is '  ', no text"):
        reinforce(pairs, Means(), tmp_path / "d", variants=2, make=lambda text, seed: "  ")


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=9), st.integers(0, 1 << 30))
def test_words_are_left_out_in_order_and_one_stays(words: list[str], seed: int) -> None:
    text = " ".join(words)
    found = without_words(text, seed)
    assert found == without_words(text, seed)
    rest = iter(words)
    assert all(word in rest for word in found.split())
    assert found


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1 << 62))
def test_a_crop_lies_in_the_picture_and_depends_on_its_seed_alone(
    width: int, height: int, seed: int
) -> None:
    values = np.arange(width * height * 3, dtype=np.uint8).reshape(height, width, 3)
    picture = Image.fromarray(values)
    cut = Crop()(picture, seed)
    assert np.array_equal(np.asarray(cut), np.asarray(Crop()(picture, seed)))
    assert 1 <= cut.size[0] <= width
    assert 1 <= cut.size[1] <= height
    whole = Crop(least=1, ratio=1, mirrored=0)(picture, seed)
    assert np.array_equal(np.asarray(whole), values)


@pytest.mark.parametrize(
    "params", [{"least": 0}, {"least": 0.9, "most": 0.5}, {"ratio": 0.5}, {"mirrored": 2}]
)
def test_a_crop_that_cannot_be(params: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="reinforce"):
        Crop(**params)
