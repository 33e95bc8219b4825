"""How large a picture is, without looking at it."""

import io
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

import crossrank as cr
from crossrank_vlm.state import ORIENTATION, _size


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
