"""Opening pictures: odd formats become RGB, broken ones one clear error."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossrank import open_image
from crossrank._items import images
from crossrank._items.images import check_image
from crossrank.errors import ImageError

GRADIENT = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "1", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = ".tif" if mode in ("CMYK", "YCbCr") else ".png"
    path = save(tmp_path / f"x{suffix}", Image.new("RGB", (9, 5), "white").convert(mode))
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", (9, 5))
    assert np.asarray(image).min() >= 250


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = (GRADIENT.astype(np.uint32) * 21).astype(np.uint16)
    path = save(tmp_path / "x.png", Image.fromarray(values))
    found = np.asarray(open_image(path))[..., 0].astype(float)
    np.testing.assert_allclose(found, values / 257.0, atol=0.51)


def test_transparency_is_laid_on_white() -> None:
    image = open_image(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))
    assert np.asarray(image).tolist() == [[[255] * 3] * 2] * 2


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "x.jpg", Image.new("RGB", (20, 10)), exif=exif)
    assert open_image(path).size == (10, 20)


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    path = save(tmp_path / "x.gif", frames[0], save_all=True, append_images=frames[1:])
    assert np.asarray(open_image(path))[0, 0].tolist() == [255, 0, 0]


def test_an_open_image_is_left_as_it_is() -> None:
    image = Image.new("L", (3, 3), 7)
    open_image(image)
    assert image.mode == "L"
    rgb = Image.new("RGB", (3, 3))
    open_image(rgb).putpixel((0, 0), (9, 9, 9))
    assert rgb.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("at_once", [0, 10**6])
def test_a_file_is_read_whole_where_it_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    values = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    path = save(tmp_path / "x.png", Image.fromarray(values))
    opened: list[int] = []

    class Piecewise(images._File):
        def __init__(self, path: Path) -> None:
            opened.append(1)
            super().__init__(path)

    monkeypatch.setattr(images, "AT_ONCE", at_once)
    monkeypatch.setattr(images, "_File", Piecewise)
    np.testing.assert_array_equal(np.asarray(open_image(path)), values)
    assert bool(opened) == (at_once == 0)
    check_image(path)  # needs the header alone
    assert len(opened) == 1 + (at_once == 0)


def huge_png(path: Path, side: int) -> Path:
    """Write a PNG whose header promises more than anybody should decode."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)))
    return path


def broken(folder: Path) -> dict[str, tuple[Path, str]]:
    whole = save(folder / "whole.jpg", Image.fromarray(GRADIENT.astype(np.uint8)))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "cut.jpg").write_bytes(whole.read_bytes()[:300])
    png = save(folder / "whole.png", Image.fromarray(GRADIENT.astype(np.uint8)))
    (folder / "cut.png").write_bytes(png.read_bytes()[: png.stat().st_size // 2])
    (folder / "folder.jpg").mkdir()
    return {
        "empty": (folder / "empty.jpg", "zero bytes"),
        "text": (folder / "text.jpg", "not a picture"),
        "cut jpeg": (folder / "cut.jpg", "damaged"),
        "cut png": (folder / "cut.png", "damaged"),
        "missing": (folder / "missing.jpg", "not a file"),
        "folder": (folder / "folder.jpg", "not a file"),
        "huge": (huge_png(folder / "huge.png", 40_000), "pixels"),
        "large": (huge_png(folder / "large.png", 13_000), "13000×13000"),
    }


@pytest.mark.parametrize(
    "kind", ["empty", "text", "cut jpeg", "cut png", "missing", "folder", "huge", "large"]
)
def test_a_broken_picture_is_one_clear_error(tmp_path: Path, kind: str) -> None:
    path, message = broken(tmp_path)[kind]
    with pytest.raises(ImageError, match=message) as caught:
        open_image(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["empty", "text", "missing", "huge", "large"])
def test_the_header_alone_shows_most_trouble(tmp_path: Path, kind: str) -> None:
    path, message = broken(tmp_path)[kind]
    with pytest.raises(ImageError, match=message):
        check_image(path)
