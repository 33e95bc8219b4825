"""How large a picture is, without looking at it."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

import crossrank as cr
from crossrank_vlm.state import ORIENTATION, _size
from toys.cross_encoder import save_cross_encoder


def png(turned: bool, late: bool) -> bytes:
    """Return a PNG file whose orientation stands before or behind its pixels."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, "PNG", **({"exif": exif} if turned else {}))
    data, chunks, at = file.getvalue(), [], 8
    while at < len(data):
        size = 12 + int.from_bytes(data[at : at + 4])
        chunks.append(data[at : at + size])
        at += size
    said = [chunk for chunk in chunks if chunk[4:8] == b"eXIf"]
    others = [chunk for chunk in chunks if chunk[4:8] != b"eXIf"]
    place = len(others) - 1 if late else 1
    return data[:8] + b"".join([*others[:place], *said, *others[place:]])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_the_size_of_a_png_file_is_that_of_the_upright_picture(
    turned: bool, late: bool, tmp_path: Path
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(turned, late))
    assert _size(path, f"{turned} {late}") == cr.open_image(path).size
    assert cr.open_image(path).size == ((20, 30) if turned else (30, 20))


def test_a_png_file_is_not_decoded_for_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(False, False))

    def refuse(self: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", refuse)
    assert _size(path, "not decoded") == (30, 20)


def test_what_is_kept_of_pictures_goes_by_the_checkpoint_that_was_loaded(
    tmp_path: Path,
) -> None:
    """Its files may change under a model that is in memory, which stays what it was."""
    pytest.importorskip("sentence_transformers.cross_encoder.modules.logit_score")
    saved = tmp_path / "model"
    save_cross_encoder(saved)
    Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
    gallery = cr.Collection(["red"], "image", path=[str(tmp_path / "red.png")])
    queries = cr.Collection(["q"], "text", text=["a red house"])
    lists = cr.Candidates.from_lists({"q": ["red"]}, candidate_ids=gallery.ids)
    params = {"model": saved, "preset": "sentence-transformers"}
    stage = cr.Stage("vlm", fusion=cr.Replace(), params=params)
    scorer: Any = stage.scorer
    cr.Pipeline(stage).rerank(lists, queries, gallery)
    os.utime(saved / "config.json", (1, 1))
    cr.Pipeline(stage).rerank(lists, queries, gallery)
    assert scorer.encoded_images == 1
