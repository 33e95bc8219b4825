"""Pictures as they come: decoded within limits, refused in one clear error."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from crossrank_serve.limits import Limits
from crossrank_serve.pictures import is_remote, open_picture, picture_bytes, pixels_of
from crossrank_serve.problems import RequestError
from toys.serving import bare, data_uri, picture

LIMITS = Limits(picture_bytes=5000, pixels=10_000)


@pytest.mark.parametrize(
    "reference",
    [
        data_uri(),
        bare(),
        data_uri().replace("data:image/png", "DATA:image/PNG"),
        data_uri().replace("png;", "png;charset=utf-8;"),
        "\n".join([bare()[:20], bare()[20:]]),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in picture()),
    ],
)
def test_forms_of_a_picture(reference: str) -> None:
    data = picture_bytes("p", reference, LIMITS)
    assert data == picture()
    assert open_picture("p", data, LIMITS).getpixel((0, 0)) == (255, 0, 0)
    assert pixels_of("p", data, LIMITS) == 64


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        *(("not base64!", 422), ("abc", 422), ("data:image/png;base64,", 422), ("data:", 422)),
        *(("data:text/html;base64,aGk=", 422), ("data:image/png;base64,%%%", 422), ("é", 422)),
        *((base64.b64encode(b"x" * 6000).decode(), 413), ("A" * 100_000, 413)),
        *(("/etc/passwd", 422), ("../../secret.png", 422)),
    ],
)
def test_what_is_no_picture_of_the_right_size_is_refused(reference: str, status: int) -> None:
    with pytest.raises(RequestError, match="document 3") as caught:
        picture_bytes("document 3", reference, LIMITS)
    assert caught.value.status == status


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"


@pytest.mark.parametrize(
    "data", [b"hello", SVG, POSTSCRIPT, picture()[:40], picture()[:45], b"\x89PNG\r\n\x1a\n"]
)
def test_what_cannot_be_decoded_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError, match="damaged") as caught:
        open_picture("p", data, LIMITS)
    assert caught.value.status == 422
    assert "<" not in str(caught.value) and "/" not in str(caught.value)


def bomb(width: int, height: int) -> bytes:
    """Return the header of a PNG that would be large, with nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    empty = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + empty


@pytest.mark.parametrize("size", [(101, 100), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    for look in (pixels_of, open_picture):
        with pytest.raises(RequestError, match="pixels") as caught:
            look("p", bomb(*size), LIMITS)
        assert caught.value.status == 413


@pytest.mark.parametrize(
    ("reference", "remote"),
    [
        *(("https://a.b/c.png", True), ("http:x", True), ("file:///etc/passwd", True)),
        *((" https://a.b/c", True), ("ftp://x", True), ("gopher://x", True), ("C:/x.png", True)),
        *((bare(), False), (data_uri(), False), ("DATA:image/png;base64,AA==", False)),
    ],
)
def test_addresses_are_told_from_content(reference: str, remote: bool) -> None:
    assert is_remote(reference) is remote
