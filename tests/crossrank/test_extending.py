"""Galleries that grow: features added, items appended, folders reused, while others read them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import (
    CrossrankError,
    DuplicateIdError,
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    ParameterError,
    StoreError,
    UnknownIdError,
)
from toys.basic import ToyEncoder


class Counting(ToyEncoder):
    """Says what it was asked for."""

    info = cr.EncoderInfo(
        name="counting_more",
        summary="",
        features=ToyEncoder.info.features,
        default_features=("embedding", "tokens"),
    )
    asked: list[tuple[int, tuple[str, ...]]]

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        type(self).asked.append((len(items), tuple(features)))
        return super().encode_batch(items, modality, features)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    monkeypatch.setattr(Counting, "asked", [], raising=False)
    cr.register(Counting)
    return Counting.asked


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    paths = [tmp_path / "photos" / f"{n}.png" for n in range(6)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).save(path)
    return paths


def encode(*arguments: Any, **options: Any) -> cr.Collection:
    return cr.encode("counting_more", *arguments, **options)


def test_a_feature_is_added_without_encoding_the_rest_again(
    photos: list[Path], asked: list[Any], tmp_path: Path
) -> None:
    gallery = encode(photos)
    asked.clear()
    more = encode(features=("size", "embedding"), add_to=gallery)
    assert asked == [(6, ("size",))]
    assert more.ids == gallery.ids
    assert more.encoder == gallery.encoder
    assert more["embedding"] is gallery["embedding"]
    assert "size" not in gallery
    whole = encode(photos, features=("size", "embedding", "tokens"))
    assert np.array_equal(more["size"], whole["size"])
    # by items, in any order and among others
    given = encode(photos[::-1], features=("size",), add_to=encode(photos[1:4]))
    assert np.array_equal(given["size"], whole["size"][1:4])
    # nothing is left to do
    asked.clear()
    assert encode(features=("size",), add_to=more) is more
    assert asked == []
    on_disk = encode(features=("size",), add_to=gallery, out=tmp_path / "more")
    assert on_disk == more


def test_a_folder_is_extended_in_place(photos: list[Path], tmp_path: Path) -> None:
    before = encode(photos, out=tmp_path / "gallery")
    more = encode(features=("size", "token_boxes"), add_to=tmp_path / "gallery")
    assert more == cr.Collection.open(tmp_path / "gallery")
    whole = encode(photos, features=("embedding", "tokens", "size", "token_boxes"))
    assert set(more.features) == set(whole.features)
    assert more == whole
    assert before.fingerprint() != more.fingerprint()
    # who had it open goes on with what it was
    assert "size" not in before
    assert np.array_equal(before.take([1])["embedding"], whole["embedding"][1:2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery", "photos"]


def test_texts_and_other_encoders(tmp_path: Path) -> None:
    texts = encode(["a dog", "two cats"], features=("embedding",))
    more = cr.encode(ToyEncoder(), features=("token_text",), add_to=texts)
    assert [list(each) for each in more["token_text"]] == [["a", "dog"], ["two", "cats"]]
    assert more.encoder == texts.encoder


@pytest.mark.parametrize("rounds", [1, 3])
def test_items_are_appended_to_a_folder(
    photos: list[Path], tmp_path: Path, asked: list[Any], rounds: int
) -> None:
    encode(photos[:3], out=tmp_path / "gallery", features=("embedding", "tokens", "token_boxes"))
    asked.clear()
    for n in range(rounds):
        made = encode(photos[3 + n : 4 + n], out=tmp_path / "gallery", append=True)
    assert sum(count for count, _ in asked) == rounds
    whole = encode(photos[: 3 + rounds], features=("embedding", "tokens", "token_boxes"))
    assert made == whole
    assert cr.Collection.open(tmp_path / "gallery") == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gallery", "photos"]


def test_compact_stores_grow_as_they_are(photos: list[Path], tmp_path: Path) -> None:
    stored = {"tokens": "int8", "embedding": "float16"}
    encode(photos[:4], out=tmp_path / "some", store_dtype=stored)
    grown = encode(photos[4:], out=tmp_path / "some", append=True)
    whole = encode(photos, out=tmp_path / "whole", store_dtype=stored)
    assert grown["embedding"].dtype == np.float16
    assert np.array_equal(np.asarray(grown["embedding"]), np.asarray(whole["embedding"]))
    for row in range(6):
        assert np.allclose(grown["tokens"][row], whole["tokens"][row], atol=1e-2)
    texts = encode(["a dog"], out=tmp_path / "texts", features=("token_text",))
    texts = encode([cr.Item("x", "two cats")], out=tmp_path / "texts", append=True)
    assert texts["text"] == ("a dog", "two cats") or list(texts["text"]) == ["a dog", "two cats"]


def test_reuse_runs_a_script_twice(photos: list[Path], tmp_path: Path, asked: list[Any]) -> None:
    first = encode(photos, out=tmp_path / "gallery", reuse=True)
    asked.clear()
    assert encode(photos, out=tmp_path / "gallery", reuse=True) == first
    assert asked == []
    grown = encode(photos, out=tmp_path / "gallery", reuse=True, append=True)
    assert grown == first
    assert asked == []
    encode(photos[:2], out=tmp_path / "less")
    asked.clear()
    assert encode(photos, out=tmp_path / "less", reuse=True, append=True).ids == first.ids
    assert sum(count for count, _ in asked) == 4


def test_what_is_there_and_is_another_is_named(photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    encode(photos[:4], out=folder)
    cases: list[tuple[type[CrossrankError], str, list[Any], dict[str, Any]]] = [
        (StoreError, "exists already", photos[:4], {}),
        (StoreError, r"other items than these \(1 new, 1 gone\)", photos[1:5], {"reuse": True}),
        (StoreError, "in another order", photos[:4][::-1], {"reuse": True}),
        (MissingFeatureError, "has no 'size'; add it with add_to", photos[:4],
         {"reuse": True, "features": ("size",)}),
        (InputError, "holds images, the items are texts", ["a"], {"append": True}),
        (DuplicateIdError, "holds the id .*; leave it out, or give reuse=True", photos[3:],
         {"append": True}),
    ]  # fmt: skip
    for kind, message, items, options in cases:
        with pytest.raises(kind, match=message):
            encode(items, out=folder, **options)
    with pytest.raises(FeatureMismatchError, match=r"was made by 'counting_more:.*'toy:"):
        cr.encode(ToyEncoder(), photos[:4], out=folder, reuse=True)
    with pytest.raises(InputError, match="need out"):
        encode(photos, append=True)
    stat = photos[0].stat()
    os.utime(photos[0], ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    with pytest.raises(StoreError, match="have changed since"):
        encode(photos[:4], out=folder, reuse=True)
    assert len(cr.Collection.open(folder)) == 4


def test_what_cannot_be_added_is_named(photos: list[Path], tmp_path: Path) -> None:
    gallery = encode(photos)
    bare = cr.Collection(gallery.ids, "image", embedding=gallery["embedding"])
    cases: list[tuple[type[CrossrankError], str, dict[str, Any]]] = [
        (InputError, "give the items, or add_to", {}),
        (InputError, "add_to needs features", {"add_to": gallery}),
        (InputError, "add_to has no 'path'", {"add_to": bare, "features": ("size",)}),
        (MissingFeatureError, "gives no 'sise'", {"add_to": gallery, "features": ("sise",)}),
        (UnknownIdError, "which is not among the items",
         {"add_to": gallery, "features": ("size",), "items": photos[1:]}),
        (InputError, "go with out=", {"add_to": gallery, "features": ("size",), "append": True}),
        (StoreError, "not a folder", {"add_to": tmp_path / "none", "features": ("size",)}),
    ]  # fmt: skip
    for kind, message, options in cases:
        with pytest.raises(kind, match=message):
            encode(options.pop("items", None), **options)


@pytest.mark.parametrize("when", ["writing", "manifest"])
def test_a_process_that_dies_leaves_the_gallery_as_it_was(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    folder = tmp_path / "gallery"
    before = encode(photos[:3], out=folder)
    name = "write_parts" if when == "writing" else "_replace"

    def die(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"crossrank._items.extending.{name}", die)
    with pytest.raises(StoreError, match="free some space"):
        encode(photos[3:], out=folder, append=True)
    assert cr.Collection.open(folder) == before
    monkeypatch.undo()
    cr.register(Counting)
    Counting.asked = []
    # what a killed one left, and a link that points elsewhere
    (folder / "tokens.2.npy").write_bytes(b"half")
    (tmp_path / "mine").write_text("mine")
    (folder / "ids.2.jsonl").symlink_to(tmp_path / "mine")
    assert cr.Collection.open(folder) == before
    assert encode(photos[3:], out=folder, append=True) == encode(photos)
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_was_replaced_goes_after_a_while(photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "gallery"
    encode(photos[:3], out=folder)
    for n in (3, 4):
        encode(photos[n : n + 1], out=folder, append=True)
    assert (folder / "embedding.npy").exists()
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    made = encode(photos[5:], out=folder, append=True)
    assert not (folder / "embedding.npy").exists()
    assert not (folder / "embedding.2.npy").exists()
    assert (folder / "embedding.3.npy").exists()  # somebody may just have opened it
    assert made == encode(photos)
    (folder / "weights.bin").write_bytes(b"x")
    with pytest.raises(StoreError, match="does not belong"):
        cr.Collection.open(folder)


READER = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
import crossrank as cr
seen = set()
while len(seen) < 1000:
    gallery = cr.Collection.open({folder!r})
    rows = gallery.take(np.arange(len(gallery)))
    assert len(rows["embedding"]) == len(rows["tokens"]) == len(rows)
    seen.add(len(rows))
    if len(rows) == 26:
        break
print(sorted(seen))
"""


def test_others_read_while_it_grows(tmp_path: Path) -> None:
    folder, tests = tmp_path / "gallery", str(Path(__file__).parents[1])
    encode([cr.Item("a0", "word")], out=folder)
    code = READER.format(tests=tests, folder=str(folder))
    readers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)
    ]
    for n in range(1, 26):
        encode([cr.Item(f"a{n}", f"word {n}")], out=folder, append=True)
    for each in readers:
        each.communicate(timeout=120)
        assert each.returncode == 0


def test_two_that_extend_at_once(photos: list[Path], tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    encode(photos[:3], out=tmp_path / "gallery")
    with (tmp_path / "gallery" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="being extended by another process"):
            encode(photos[3:], out=tmp_path / "gallery", append=True)


def test_bare_things_are_refused_and_folders_encoded(photos: list[Path], tmp_path: Path) -> None:
    for items, message in (
        ("kitten", "one text, 'kitten'; give a list"),
        (b"\x89PNG", "one picture"),
        (Image.new("RGB", (4, 4)), "give a list"),
        (np.zeros((4, 4, 3), np.uint8), "give a list"),
        (photos[0], "is one picture; give a list"),
        ({"a": 1}, "the keys would be"),
        (7, "give a list"),
        (tmp_path / "nowhere", "does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            encode(items)
    folder = encode(tmp_path / "photos")
    assert folder.ids == tuple(path.name for path in photos)
    (tmp_path / "texts.txt").write_text("a dog\ntwo cats\n")
    assert encode(tmp_path / "texts.txt").ids == ("1", "2")
    assert len(encode(path for path in photos)) == 6


def test_device_and_threads(photos: list[Path]) -> None:
    from dataclasses import dataclass

    seen: list[Any] = []

    @dataclass(frozen=True, slots=True)
    class Parameters:
        device: str = "cpu"

    class OnDevice(ToyEncoder):
        info = cr.EncoderInfo(name="on_device_2", summary="", features=ToyEncoder.info.features)

        def encode_batch(self, *arguments: Any) -> Any:
            import torch

            seen.append((self.params.device, torch.get_num_threads()))
            return super().encode_batch(*arguments)

    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    OnDevice.Parameters = Parameters
    cr.encode(OnDevice, ["a"], device="meta", threads=3)
    assert seen == [("meta", 3)]
    assert torch.get_num_threads() == before
    cr.encode(OnDevice(device="meta"), ["a"], device="meta")
    encode(["a"], device="cpu")
    with pytest.raises(ParameterError, match="'counting_more' computes on the CPU alone"):
        encode(["a"], device="cuda")
    with pytest.raises(ParameterError, match="built already, for another device than 'cuda'"):
        cr.encode(ToyEncoder(), ["a"], device="cuda")
    with pytest.raises(InputError, match="threads is 0"):
        encode(["a"], threads=0)


def run(*arguments: object, code: int = 0) -> Any:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else result.stderr


def test_the_command_takes_several_inputs_and_grows_a_folder(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = ("--encoder", "counting_more", "--json")
    made = run("encode", "photos/0.png", "photos/[12].png", "-o", "g", "--threads", 1, *own)
    assert made["count"] == 3
    assert cr.Collection.open("g").ids == ("photos/0.png", "photos/1.png", "photos/2.png")
    assert run("encode", "photos/[3-5].png", "-o", "g", "--append", *own)["count"] == 6
    again = run("encode", "photos/*.png", "-o", "g", "--append", "--reuse", *own)
    assert again["count"] == 6
    more = run("encode", "--add-to", "g", "--features", "size", *own)
    assert more["features"][-1] == "size" and more["output"] == "g"
    assert "fits no file" in run("encode", "no/*.png", "-o", "h", *own, code=2)
    assert "Give an INPUT" in run("encode", "-o", "h", *own, code=2)
    assert "--output or --add-to" in run("encode", "photos", *own, code=2)
    assert "computes on the CPU alone" in run(
        "encode", "photos", "-o", "h", "--device", "cuda", *own, code=2
    )
    (tmp_path / "other").mkdir()
    photos[0].rename(tmp_path / "other" / "1.png")
    assert "both have the id '1.png'" in run("encode", "photos", "other", "-o", "h", *own, code=2)
