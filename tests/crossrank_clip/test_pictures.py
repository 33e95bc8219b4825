"""Pictures as people have them: CMYK, 16 bits, transparent, turned by EXIF, broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import ImageError
from crossrank_clip.encoder import ClipEncoder

Loaded = Callable[[str], ClipEncoder]


def encode(encoder: ClipEncoder, image: Path | Image.Image) -> dict[str, Any]:
    return dict(
        encoder.encode_batch([cr.Item("0", image=image)], "image", ("embedding", "tokens", "size"))
    )


def same(left: dict[str, Any], right: dict[str, Any], tolerance: float) -> None:
    assert left["size"].tolist() == right["size"].tolist()
    np.testing.assert_allclose(left["embedding"], right["embedding"], atol=tolerance)
    np.testing.assert_allclose(left["tokens"].flat, right["tokens"].flat, atol=tolerance)


@pytest.fixture
def gradient() -> Image.Image:
    """Return a smooth colour picture, 90 wide and 60 high."""
    grey = Image.linear_gradient("L").resize((90, 60))
    return Image.merge(
        "RGB", [grey, grey.rotate(180), grey.transpose(Image.Transpose.ROTATE_90).resize((90, 60))]
    )


def test_a_path_and_an_open_picture_are_the_same(
    encoder: Loaded, gradient: Image.Image, tmp_path: Path
) -> None:
    gradient.save(tmp_path / "a.png")
    same(encode(encoder("clip"), tmp_path / "a.png"), encode(encoder("clip"), gradient), 0)


def test_exif_turns_the_picture_before_anything_else(
    encoder: Loaded, gradient: Image.Image, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: show it rotated by 90° clockwise
    gradient.save(tmp_path / "turned.png", exif=exif)
    found = encode(encoder("clip"), tmp_path / "turned.png")
    assert found["size"].tolist() == [[60, 90]]
    same(found, encode(encoder("clip"), gradient.transpose(Image.Transpose.ROTATE_270)), 0)


def test_cmyk_is_read_in_its_colours(
    encoder: Loaded, gradient: Image.Image, tmp_path: Path
) -> None:
    gradient.convert("CMYK").save(tmp_path / "print.tif")
    same(encode(encoder("clip"), tmp_path / "print.tif"), encode(encoder("clip"), gradient), 0.05)


def test_sixteen_bits_are_scaled_and_not_clipped(encoder: Loaded, tmp_path: Path) -> None:
    grey = np.asarray(Image.linear_gradient("L").resize((50, 40)))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    shallow = Image.fromarray(grey).convert("RGB")
    same(encode(encoder("clip"), tmp_path / "deep.png"), encode(encoder("clip"), shallow), 0)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_every_mode_of_an_open_picture_is_read(
    mode: str, encoder: Loaded, gradient: Image.Image
) -> None:
    found = encode(encoder("siglip"), gradient.convert(mode))
    assert found["tokens"].lengths.tolist() == [16]


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2"])
@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 3), (4, 4)], ids=str)
def test_tiny_and_thin_pictures(family: str, size: tuple[int, int], encoder: Loaded) -> None:
    found = encode(encoder(family), Image.new("RGB", size, "teal"))
    assert np.isfinite(found["tokens"].flat).all()
    assert found["size"].tolist() == [list(size)]


def test_a_broken_picture_is_named(encoder: Loaded, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        encode(encoder("clip"), tmp_path / "broken.jpg")
