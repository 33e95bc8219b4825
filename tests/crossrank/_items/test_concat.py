"""Collections put end to end, and rows taken more than once under names of their own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    DuplicateIdError,
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    StoreError,
)


def made(ids: str, seed: int = 0, **changes: Any) -> cr.Collection:
    rng = np.random.default_rng(seed)
    features: dict[str, Any] = {
        "embedding": rng.normal(size=(len(ids), 4)).astype(np.float32),
        "tokens": cr.Ragged.from_list(
            [rng.normal(size=(n % 3, 2)).astype(np.float32) for n in range(len(ids))]
        ),
        "text": tuple(f"text {id}" for id in ids),
        "labels": tuple([id, "x"] for id in ids),
    }
    features |= {key: value for key, value in changes.items() if key in features}
    return cr.Collection(
        ids,
        changes.get("modality", "text"),
        encoder=changes.get("encoder", "toy:0"),
        **{key: value for key, value in features.items() if value is not None},
    )


def test_one_after_the_other_in_memory_and_on_disk(tmp_path: Path) -> None:
    parts = [made("abc"), made("d", 1), made("ef", 2)]
    whole = cr.Collection.concat(parts)
    assert whole.ids == tuple("abcdef")
    assert whole.encoder == "toy:0"
    start = 0
    for part in parts:
        assert whole.take(range(start, start + len(part))) == part
        start += len(part)
    on_disk = cr.Collection.concat(iter(parts), out=tmp_path / "all")
    assert on_disk == whole
    assert cr.Collection.concat([cr.Collection.open(tmp_path / "all"), made("z")]).ids[-1] == "z"
    assert cr.Collection.concat(parts[:1]) == parts[0]
    with pytest.raises(StoreError, match="exists already"):
        cr.Collection.concat(parts, out=tmp_path / "all")


def test_compact_stores_and_empty_parts(tmp_path: Path) -> None:
    part = made("abc")
    part.save(tmp_path / "int8", {"tokens": "int8"})
    small = cr.Collection.open(tmp_path / "int8")
    both = cr.Collection.concat([small, made("d")])
    assert both["tokens"].flat.dtype == np.float32
    assert np.array_equal(np.asarray(both["tokens"][1]), np.asarray(small["tokens"][1]))
    assert cr.Collection.concat([small, made("d")], out=tmp_path / "both") == both
    assert cr.Collection.concat([part, part.take([])]) == part


def test_the_encoder_is_known_where_all_parts_know_it() -> None:
    assert cr.Collection.concat([made("a"), made("b", encoder=None)]).encoder is None


@pytest.mark.parametrize(
    ("kind", "message", "parts"),
    [
        (InputError, "at least one collection", []),
        (InputError, "at least one collection", ["a"]),
        (
            InputError,
            "collection 1 holds images, the first texts",
            [made("a"), made("b", modality="image")],
        ),
        (DuplicateIdError, "'a' stands twice", [made("ab"), made("ca")]),
        (
            MissingFeatureError,
            "collection 1 has no feature 'labels'",
            [made("a"), made("b", labels=None)],
        ),
        (
            MissingFeatureError,
            "collection 1 has the feature 'labels'",
            [made("a", labels=None), made("b")],
        ),
        (
            FeatureMismatchError,
            "collection 1 was encoded by 'clip:1'",
            [made("a"), made("b", encoder="clip:1")],
        ),
        (
            FeatureMismatchError,
            r"'embedding' is an array of rows \[3\] and an array of rows \[4\]",
            [made("a"), made("b", embedding=np.zeros((1, 3)))],
        ),
        (
            FeatureMismatchError,
            "'embedding' is an array of rows .* and ragged",
            [made("a"), made("b", embedding=cr.Ragged(np.zeros((2, 4)), [2]))],
        ),
    ],
)
def test_what_does_not_go_together_is_named(
    kind: type[CrossrankError], message: str, parts: list[Any]
) -> None:
    with pytest.raises(kind, match=message):
        cr.Collection.concat(parts)


def test_rows_may_repeat_under_names_of_their_own(tmp_path: Path) -> None:
    whole = made("abc")
    pairs = whole.take([2, 0, 2, 2], ids=["q1/c", "q1/a", "q2/c", 3])
    assert pairs.ids == ("q1/c", "q1/a", "q2/c", "3")
    assert pairs["text"] == ("text c", "text a", "text c", "text c")
    assert np.array_equal(pairs["tokens"][3], whole["tokens"][2])
    whole.save(tmp_path / "c")
    stored = cr.Collection.open(tmp_path / "c").take([2, 0, 2, 2], ids=["q1/c", "q1/a", "q2/c", 3])
    assert stored == pairs
    assert pairs.row("q2/c") == 2
    with pytest.raises(DuplicateIdError, match="a row stands twice; give ids="):
        whole.take([1, 1])
    with pytest.raises(DuplicateIdError, match="'x' stands twice"):
        whole.take([1, 1], ids=["x", "x"])
    with pytest.raises(InputError, match="1 ids for 2 rows"):
        whole.take([1, 1], ids=["x"])
    with pytest.raises(InputError, match="the id of item 0 is empty"):
        whole.take([1], ids=[""])


def test_rows_of_several_ids_at_once() -> None:
    assert made("abc").rows(["c", "x", "a", "c"]) == [2, -1, 0, 2]
