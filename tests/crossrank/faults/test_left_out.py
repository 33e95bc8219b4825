"""What is left out of a folder of pictures is said, and what is broken can be skipped."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank._items.read_items import read_items
from crossrank.errors import ImageError, InputError
from toys.basic import ToyEncoder


def photograph(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), shade, np.uint8)).save(path, format="jpeg")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photograph(tmp_path / "photos" / "a.jpg")
    photograph(tmp_path / "photos" / "b.jfif")
    photograph(tmp_path / "elsewhere" / "c.jpg")
    (tmp_path / "photos" / "more").symlink_to(tmp_path / "elsewhere")
    return tmp_path / "photos"


def test_linked_folders_are_looked_through(folder: Path) -> None:
    assert [item.id for item in read_items(folder)] == ["a.jpg", "b.jfif", "more/c.jpg"]


def test_a_link_that_leads_back_ends(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "again").symlink_to(folder)
    (folder.parent / "elsewhere" / "up").symlink_to(folder.parent)
    assert "a.jpg" in [item.id for item in read_items(folder)]
    assert len(read_items(folder)) < 20
    assert "which leads back" in caplog.text


def test_what_is_left_out_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("x.heic", "y.heic", "z.psd", "notes.txt"):
        (folder / name).write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        read_items(folder)
    assert "left out 3 files that are no pictures by their names: 2 .heic, 1 .psd" in caplog.text


def broken(folder: Path) -> None:
    (folder / "empty.jpg").write_bytes(b"")
    whole = photograph(folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])


def test_broken_pictures_are_skipped_and_listed(folder: Path, tmp_path: Path) -> None:
    broken(folder)
    with pytest.raises(ImageError):
        cr.encode(ToyEncoder(), folder)
    made = cr.encode(ToyEncoder(), folder, out=tmp_path / "gallery", on_item="skip")
    assert made.ids == ("a.jpg", "b.jfif", "more/c.jpg")
    lines = (tmp_path / "gallery.skipped.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["cut.jpg", "empty.jpg"]
    assert all(json.loads(line)["reason"] for line in lines)
    whole = cr.encode(ToyEncoder(), [folder / "a.jpg"], on_item="skip", out=tmp_path / "second")
    assert len(whole) == 1
    assert not (tmp_path / "second.skipped.jsonl").exists()


def test_all_broken_is_an_error(folder: Path) -> None:
    broken(folder)
    with pytest.raises(InputError, match="none of 2 items can be encoded"):
        cr.encode(ToyEncoder(), [folder / "cut.jpg", folder / "empty.jpg"], on_item="skip")
    with pytest.raises(InputError, match="give 'raise' or 'skip'"):
        cr.encode(ToyEncoder(), folder, on_item="keep")
