"""The kit's synthetic collections: complete, seeded, and in the standard form."""

from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank._items import collection
from crossrank.testing import make_collection, make_items
from crossrank.testing._standard import BOXES, PARTNERS, STANDARD


def test_every_standard_feature_is_documented_and_made() -> None:
    assert collection.__doc__ is not None
    documented = [
        line.split("``")[1] for line in collection.__doc__.splitlines() if line.startswith("``")
    ]
    assert documented == list(STANDARD)
    made = {*make_collection("text").features, *make_collection("image").features}
    # roles are for encoders whose tokens are not all of the item
    assert made | {"token_roles"} == set(STANDARD)
    assert {*BOXES, *(name for pair in PARTNERS for name in pair)} <= set(STANDARD)


@pytest.mark.parametrize("modality", ["text", "image", "image+text"])
def test_collections_are_the_same_each_time_and_others_by_seed(modality: str) -> None:
    one = make_collection(modality, 5)
    assert make_collection(modality, 5) == one
    other = make_collection(modality, 5, seed=1)
    assert not set(other.ids) & set(one.ids)
    assert not np.allclose(other["embedding"], one["embedding"])
    assert one.modality == modality


def test_features_have_their_form() -> None:
    for modality in ("text", "image"):
        made = make_collection(modality, 12, dimensions={"regions": 5, "words": 7})
        for name in made.features:
            form, feature = STANDARD[name], made[name]
            if form.kind == "ragged":
                assert isinstance(feature, cr.Ragged)
                rows = feature.flat
            elif form.kind == "array":
                rows = feature
            else:
                assert all(
                    isinstance(each, str if form.kind == "text" else list) for each in feature
                )
                continue
            assert rows.ndim == 1 + len(form.row)
            if form.unit:
                np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
            if name in BOXES:
                assert (rows[:, :2] <= rows[:, 2:]).all()
        for left, right in PARTNERS:
            if left in made and right in made:
                assert [len(each) for each in made[left]] == [len(each) for each in made[right]]
    assert make_collection("image", 2, dimensions={"regions": 5})["regions"].trailing == (5,)


def test_pictures_are_files_of_their_size() -> None:
    made = make_collection("image", 4)
    for path, size in zip(made["path"], made["size"], strict=True):
        assert cr.open_image(Path(path)).size == tuple(size)


def test_some_pairs_have_negative_similarities_only() -> None:
    texts, images = make_collection("text")["tokens"], make_collection("image")["tokens"]
    best = [(words @ patches.T).max() for words in texts for patches in images]
    assert min(best) < -0.1


def test_items_come_as_files_and_as_open_images() -> None:
    kinds = {isinstance(item.image, Path) for item in make_items("image")}
    assert kinds == {True, False}
    assert all(item.text for item in make_items("text"))
