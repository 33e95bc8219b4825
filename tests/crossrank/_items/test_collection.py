"""Collections in memory: ids, features, and what is refused."""

import numpy as np
import pytest

from crossrank import Collection, Ragged
from crossrank.errors import DuplicateIdError, InputError, MissingFeatureError, UnknownIdError


def images() -> Collection:
    return Collection(
        ["a", "b", "c"],
        "image",
        embedding=np.eye(3, dtype=np.float32),
        tokens=Ragged(np.arange(8.0).reshape(4, 2), [1, 0, 3]),
        labels=[["dog"], [], ["cat", "dog"]],
        text=["x", "y", "z"],
    )


def test_features_keep_their_kind() -> None:
    collection = images()
    assert collection.features == ("embedding", "tokens", "labels", "text")
    assert isinstance(collection["embedding"], np.ndarray)
    assert isinstance(collection["tokens"], Ragged)
    assert collection["labels"][2] == ["cat", "dog"]


def test_lists_of_numbers_become_arrays_and_lists_of_anything_else_stay() -> None:
    collection = Collection(
        ["a", "b"],
        "text",
        embedding=[[1.0, 0.0], [0.0, 1.0]],
        concepts=[[], [("dog", None)]],
        names=np.array(["x", "y"]),
    )
    assert collection["embedding"].shape == (2, 2)
    assert collection["concepts"] == ([], [("dog", None)])
    assert collection["names"] == ("x", "y")


def test_take_copies_rows_of_every_kind() -> None:
    taken = images().take([2, 0])
    assert taken.ids == ("c", "a")
    np.testing.assert_array_equal(taken["embedding"], np.eye(3)[[2, 0]])
    np.testing.assert_array_equal(taken["tokens"][0], images()["tokens"][2])
    assert taken["labels"] == (["cat", "dog"], ["dog"])
    assert taken.row("a") == 1
    assert images().take([1], ["text"]).features == ("text",)


def test_take_refuses_masks_and_rows_that_are_not_there() -> None:
    with pytest.raises(InputError, match=r"bool of shape \(3,\); give .*flatnonzero"):
        images().take(np.array([True, False, True]))
    for row in (3, -1):
        with pytest.raises(InputError, match=f"no row {row} among 3"):
            images().take([0, row])


def test_a_read_only_view_shares_memory_and_refuses_writing() -> None:
    collection = images()
    view = collection.read_only(["embedding", "tokens"])
    assert np.shares_memory(view["embedding"], collection["embedding"])
    with pytest.raises(ValueError, match="read-only"):
        view["embedding"][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        view["tokens"].flat[0] = 1
    collection["embedding"][0, 1] = 0.5  # the caller's own array stays writable


def test_equality_and_fingerprint_follow_the_content() -> None:
    assert images() == images()
    assert images().fingerprint() == images().fingerprint()
    other = images().with_features(text=["x", "y", "Z"])
    assert other != images()
    assert other.fingerprint() != images().fingerprint()


def test_bad_ids_and_features_are_refused_by_name() -> None:
    with pytest.raises(DuplicateIdError, match="'a'"):
        Collection(["a", "b", "a"], "text")
    with pytest.raises(InputError, match="id of item 1 is empty"):
        Collection(["a", ""], "text")
    with pytest.raises(InputError, match="'embedding' has 3 entries for 2 ids"):
        Collection(["a", "b"], "text", embedding=np.zeros((3, 2)))
    with pytest.raises(InputError, match="scalar"):
        Collection(["a"], "text", embedding=np.float32(1))
    with pytest.raises(InputError, match="modality"):
        Collection(["a"], "audio")
    with pytest.raises(MissingFeatureError, match=r"no feature 'regions', only embedding"):
        images()["regions"]
    with pytest.raises(UnknownIdError, match="'q'"):
        images().row("q")


def test_an_empty_collection_is_a_collection() -> None:
    empty = Collection([], "text", embedding=np.zeros((0, 4)), text=[])
    assert len(empty) == 0
    assert len(empty.take([])) == 0
