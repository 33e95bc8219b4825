"""Collections on disk: round trips, and every way a folder can be broken."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank import Collection, Ragged
from crossrank.errors import CrossrankError, StoreError

words = st.lists(st.text(max_size=5), max_size=3)


def collection(count: int = 3) -> Collection:
    rng = np.random.default_rng(0)
    return Collection(
        [f"id {n} é" for n in range(count)],
        "image",
        encoder="toy:1",
        embedding=rng.normal(size=(count, 4)).astype(np.float16),
        tokens=Ragged(rng.normal(size=(2 * count, 3)).astype(np.float32), np.full(count, 2)),
        labels=[["dog"]] * count,
        size=np.full((count, 2), 7),
    )


@given(st.lists(words, max_size=5))
@settings(max_examples=30)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, texts: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("store") / "c"
    lengths = np.array([len(each) for each in texts], np.int64)
    before = Collection(
        range(len(texts)),
        "text",
        token_text=texts,
        tokens=Ragged(np.ones((int(lengths.sum()), 2), np.float32), lengths),
    )
    before.save(folder)
    assert Collection.open(folder) == before


def test_arrays_are_mapped_and_never_writable(tmp_path: Path) -> None:
    collection().save(tmp_path / "c")
    opened = Collection.open(tmp_path / "c")
    assert opened == collection()
    assert opened.encoder == "toy:1"
    assert isinstance(opened["embedding"], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened["embedding"][0] = 0


def test_the_fingerprint_on_disk_follows_the_content(tmp_path: Path) -> None:
    collection().save(tmp_path / "a")
    collection().save(tmp_path / "b")
    collection(4).save(tmp_path / "c")
    prints = [Collection.open(tmp_path / name).fingerprint() for name in "abc"]
    assert prints[0] == prints[1] != prints[2]


def test_columns_in_fortran_order_are_read_from_their_file_too(tmp_path: Path) -> None:
    turned = Collection("abc", "image", embedding=np.asfortranarray(np.arange(12.0).reshape(3, 4)))
    turned.save(tmp_path / "c")
    found = Collection.open(tmp_path / "c")
    assert found == turned
    assert found.is_stored(["embedding"])


def test_an_empty_collection_is_kept(tmp_path: Path) -> None:
    empty = Collection([], "text", embedding=np.zeros((0, 4), np.float32), text=[])
    empty.save(tmp_path / "c")
    assert Collection.open(tmp_path / "c") == empty


def edit_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "collection.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BREAKAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing folder": (shutil.rmtree, "not a folder"),
    "missing manifest": (lambda f: (f / "collection.json").unlink(), "no collection.json"),
    "missing file": (lambda f: (f / "tokens.npy").unlink(), "lacks its file tokens.npy"),
    "truncated file": (
        lambda f: (f / "tokens.npy").write_bytes((f / "tokens.npy").read_bytes()[:-4]),
        "truncated",
    ),
    "emptied file": (lambda f: (f / "embedding.npy").write_bytes(b""), "truncated"),
    "foreign file": (lambda f: (f / "weights.bin").write_bytes(b"x"), "does not belong"),
    "other format": (lambda f: edit_manifest(f, format="zip"), "not the manifest"),
    "newer version": (lambda f: edit_manifest(f, version=99), "format version 99"),
    "manifest cut": (lambda f: (f / "collection.json").write_text("{"), "cannot be read"),
    "manifest without files": (lambda f: edit_manifest(f, files=None), "lacks 'files'"),
    "stems that lead elsewhere": (
        lambda f: edit_manifest(f, stems={"ids": "../ids"}),
        "a wrong file for 'ids'",
    ),
    "stems that are none": (lambda f: edit_manifest(f, stems=["ids"]), "no stems or state"),
    "a state that is none": (lambda f: edit_manifest(f, state="two"), "no stems or state"),
    "unknown kind": (lambda f: edit_manifest(f, features={"size": "tree"}), "unknown kind"),
    "manifest without sizes": (
        lambda f: edit_manifest(f, files={"ids.jsonl": {}}),
        "does not say size and digest of ids",
    ),
    "ragged feature without lengths": (
        lambda f: edit_manifest(f, features={"embedding": "ragged"}),
        r"lacks its file embedding\.lengths\.npy",
    ),
    "file replaced": (
        lambda f: (f / "size.npy").write_bytes(b"\0" * (f / "size.npy").stat().st_size),
        "not an array file",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_folder_is_one_clear_error(tmp_path: Path, breakage: str) -> None:
    folder = tmp_path / "c"
    collection().save(folder)
    spoil, message = BREAKAGES[breakage]
    spoil(folder)
    with pytest.raises(StoreError, match=message) as caught:
        Collection.open(folder)
    assert "\n" not in str(caught.value)


def test_a_column_with_a_changed_line_is_named_when_read(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    collection().save(folder)
    path = folder / "labels.jsonl"
    path.write_text(path.read_text().replace('["dog"]\n', '["dog"\n\n', 1)[: path.stat().st_size])
    with pytest.raises(CrossrankError, match=r"labels\.jsonl"):
        assert Collection.open(folder)["labels"][0]


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    collection().save(tmp_path / "c")
    with pytest.raises(StoreError, match="exists already"):
        collection(4).save(tmp_path / "c")
    assert Collection.open(tmp_path / "c") == collection()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StoreError, match="free some space"):
        collection().save(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
