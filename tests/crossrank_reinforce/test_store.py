"""Reinforced stores: what teachers made, kept once, recognised, resumed after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    ParameterError,
    StoreError,
)
from crossrank_reinforce import Crop, Pairs, Store, reinforce, seed_of
from toys.reinforce import Blind, Means, Turned, content, write


def test_targets_are_what_the_teachers_make_of_the_same_views(pairs: Pairs, tmp_path: Path) -> None:
    teachers = [Means(), Turned()]
    store = reinforce(pairs, teachers, tmp_path / "s", views=3, variants=2, scales=[50, 20], seed=7)
    assert store.image_ids == tuple(item.id for item in pairs.images)
    assert store.text_to_image.tolist() == pairs.text_to_image.tolist()
    rows, views, texts, variants = [2, 0, 3], [1, 0, 2], [4, 1, 6], [1, 0, 1]
    for teacher, found in zip(teachers, store.targets(rows, views, texts, variants), strict=True):
        assert found.images.dtype == found.texts.dtype == np.float32
        for place, (row, view, text, variant) in enumerate(
            zip(rows, views, texts, variants, strict=True)
        ):
            item = pairs.images[row]
            seed = seed_of(7, str(item.id), view)
            assert store.seed(row, view) == seed
            seen = Crop()(cr.open_image(Path(str(item.image))), seed)
            said = store.text(text, variant)
            if variant == 0:
                assert said == pairs.texts[text].text
            made = teacher.encode_batch([cr.Item("0", image=seen)], "image", ("embedding",))
            worded = teacher.encode_batch([cr.Item("0", said)], "text", ("embedding",))
            for own, expected in ((found.images, made), (found.texts, worded)):
                row_of: Any = expected["embedding"]
                np.testing.assert_allclose(own[place], row_of[0], atol=2**-10)
                assert np.linalg.norm(own[place]) == pytest.approx(1, abs=1e-6)
    assert [each.scale for each in store.targets([0], [0], [0], [0])] == [50.0, 20.0]


def test_a_store_is_small_and_holds_no_pixels(pairs: Pairs, tmp_path: Path) -> None:
    reinforce(pairs, Means(), tmp_path / "s", views=4)
    table = np.load(tmp_path / "s" / "images-0" / "embedding.npy")
    assert table.dtype == np.float16
    assert table.shape == (16, 12)


def test_other_features_are_kept_besides(pairs: Pairs, tmp_path: Path) -> None:
    store = reinforce(pairs, Means(), tmp_path / "s", views=2, also=("raw",))
    assert np.asarray(store.feature("image", "raw")).shape == (8, 12)
    assert np.asarray(store.feature("text", "raw")).shape == (8, 12)
    assert store.rows("image", [3], [1]).tolist() == [7]


def test_a_store_of_other_teachers_or_other_data_is_refused(pairs: Pairs, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = reinforce(pairs, Means(), folder, views=2)
    store.check([Means()], pairs, Crop())
    with pytest.raises(
        FeatureMismatchError, match=r"by other teachers \(reinforce-means, not reinforce-turned\)"
    ):
        store.check([Turned()])
    with pytest.raises(FeatureMismatchError, match="by other teachers"):
        store.check([Means(), Turned()])
    with pytest.raises(FeatureMismatchError, match="another augmentation"):
        store.check(augmentation=Crop(least=0.5))
    other = write(tmp_path / "others", count=5)
    with pytest.raises(FeatureMismatchError, match="of another data set"):
        store.check(pairs=other)

    class Retrained(Means):
        turn = 5

    Retrained.__qualname__ = "Means"
    with pytest.raises(FeatureMismatchError, match="reinforce-means with other weights"):
        store.check([Retrained()])
    with pytest.raises(StoreError, match="was made by other teachers"):
        reinforce(pairs, Turned(), folder, views=2)
    with pytest.raises(StoreError, match="with another views"):
        reinforce(pairs, Means(), folder, views=3)
    with pytest.raises(StoreError, match="of another data set"):
        reinforce(other, Means(), folder, views=2)


def test_the_data_set_is_known_by_content_not_by_place(pairs: Pairs, tmp_path: Path) -> None:
    copy = write(tmp_path / "elsewhere")
    assert copy.fingerprint() == pairs.fingerprint()
    store = reinforce(pairs, Means(), tmp_path / "s")
    store.check(pairs=copy)
    path = Path(str(copy.images[1].image))
    Image.new("RGB", (30, 20)).save(path)
    with pytest.raises(FeatureMismatchError, match="another data set"):
        store.check(pairs=copy)


class Stopping(Means):
    """Is stopped before its n-th batch."""

    left = 0

    def encode_batch(self, items: Any, modality: str, features: Any) -> Any:
        Stopping.left -= 1
        if Stopping.left < 0:
            raise KeyboardInterrupt
        return super().encode_batch(items, modality, features)


def test_stopped_before_any_batch_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    pairs = write(tmp_path / "pictures", count=90, captions=3)  # more than one shard
    Stopping.left = 10**6
    whole = content(reinforce(pairs, [Stopping(), Turned()], tmp_path / "whole", views=3).folder)
    for stop in (0, 1, 16, 17, 18, 33):
        folder = tmp_path / f"s{stop}"
        Stopping.left = stop
        with pytest.raises(KeyboardInterrupt):
            reinforce(pairs, [Stopping(), Turned()], folder, views=3)
        assert not folder.exists()
        with pytest.raises(StoreError, match="was begun by other teachers"):
            reinforce(pairs, Turned(), folder, views=3)
        Stopping.left = 10**6
        reinforce(pairs, [Stopping(), Turned()], folder, views=3)
        assert content(folder) == whole
        assert not folder.with_name(f"s{stop}.partial").exists()


RUN = """
import sys
from pathlib import Path
from toys.reinforce import Means, write, content
from crossrank_reinforce import reinforce
Means.pause = 0.01
print("begun", flush=True)
reinforce(write(Path(sys.argv[1]), count=90), Means(), sys.argv[2], views=3, variants=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    pictures, folder = tmp_path / "pictures", tmp_path / "s"
    pairs = write(pictures, count=90)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", RUN, str(pictures), str(folder)]
    for pause in (0.05, 0.3):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.kill()
    reinforce(pairs, Means(), folder, views=3, variants=2)
    reinforce(pairs, Means(), tmp_path / "whole", views=3, variants=2)
    assert content(folder) == content(tmp_path / "whole")


def test_what_cannot_be_reinforced(pairs: Pairs, tmp_path: Path) -> None:
    for params, says in (
        ({"views": 0}, "views is 0"),
        ({"variants": True}, "variants is True"),
        ({"scales": -1}, "scales are -1"),
        ({"scales": [1, 2]}, "one per teacher"),
    ):
        with pytest.raises(InputError, match=says):
            reinforce(pairs, Means(), tmp_path / "s", **params)
    with pytest.raises(InputError, match="no teacher"):
        reinforce(pairs, [], tmp_path / "s")
    with pytest.raises(ParameterError, match="'blind' gives no 'embedding' of images"):
        reinforce(pairs, Blind(), tmp_path / "s")
    with pytest.raises(ParameterError, match="gives no 'depth'"):
        reinforce(pairs, Means(), tmp_path / "s", also=("depth",))
    with pytest.raises(ParameterError, match="fingerprint"):
        reinforce(pairs, Means(), tmp_path / "s", augmentation=lambda picture, seed: picture)
    (tmp_path / "taken").mkdir()
    with pytest.raises(StoreError, match=r"store\.json cannot be read"):
        reinforce(pairs, Means(), tmp_path / "taken")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pictures", "taken"]


def test_rows_beyond_the_store(pairs: Pairs, tmp_path: Path) -> None:
    store = reinforce(pairs, Means(), tmp_path / "s", views=2)
    with pytest.raises(InputError, match="has 4 images"):
        store.targets([4], [0], [0], [0])
    with pytest.raises(InputError, match="has 2 of each image"):
        store.targets([0], [2], [0], [0])
    with pytest.raises(InputError, match="has 8 texts"):
        store.targets([0], [0], [-1], [0])


def test_a_damaged_store_is_named(pairs: Pairs, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    reinforce(pairs, Means(), folder)
    plan = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    for text in ("", "[]", "{}", json.dumps({**plan, "format": "other/1"})):
        (folder / "store.json").write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match=r"store\.json cannot be read.*crossrank reinforce"):
            Store(folder)
    (folder / "store.json").write_text(json.dumps(plan), encoding="utf-8")
    (folder / "texts-0" / "embedding.npy").unlink()
    with pytest.raises(StoreError):
        Store(folder).targets([0], [0], [0], [0])
    with pytest.raises(StoreError, match="cannot be read"):
        Store(tmp_path / "none")


def test_pairs_that_do_not_fit(pairs: Pairs) -> None:
    images, texts, owner = pairs.images, pairs.texts, pairs.text_to_image
    for given_pairs, says in (
        (((), texts, owner), "no pictures"),
        ((images, texts, owner[:-1]), "one for each"),
        ((images, texts, owner + 1), "picture 4 of 4"),
        (
            (images, (cr.Item("t", image=Path("a.jpg")), *texts[1:]), owner),
            "'t' has no id",
        ),
        ((tuple(cr.Item(item.id, "x") for item in images), texts, owner), "no path"),
    ):
        with pytest.raises(InputError, match=says):
            Pairs(*given_pairs)
