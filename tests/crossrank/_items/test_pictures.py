"""Every form that a picture comes in is the same picture, and what is none says how to give one."""

import base64
import io
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank._items.item import as_item
from crossrank._items.pictures import as_picture
from crossrank.errors import CrossrankError, ImageError, InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "png")
    return file.getvalue()


PNG = png()
BASE64 = base64.b64encode(PNG).decode()
URI = f"data:image/png;base64,{BASE64}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "my photo é.png"
    path.write_bytes(PNG)
    return path


def same(picture: Any) -> bool:
    return bool((np.asarray(cr.open_image(picture)) == PIXELS).all())


def test_every_form_is_the_same_picture(path: Path) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(np.moveaxis(PIXELS, 2, 0).copy())
    forms = [
        *(path, str(path), path.as_uri(), f"file://localhost{quote(str(path))}"),
        *(PNG, bytearray(PNG), memoryview(PNG), io.BytesIO(PNG)),
        *(URI, URI.replace("data:image/png", "DATA:image/PNG;charset=x"), f"  {URI}\n"),
        f"data:image/png,{quote(PNG)}",
        *(BASE64, BASE64.rstrip("="), base64.encodebytes(PNG).decode()),
        base64.urlsafe_b64encode(PNG).decode(),
        *(Image.fromarray(PIXELS), PIXELS, PIXELS[None], PIXELS.astype(np.int64)),
        *(PIXELS / 255, (PIXELS / 255).astype(np.float32), PIXELS.astype(np.uint16) * 257),
        np.moveaxis(PIXELS, 2, 0),
        *(tensor, tensor[None], tensor.permute(1, 2, 0), (tensor / 255.0).requires_grad_()),
    ]
    for form in forms:
        assert same(form), repr(form)[:60]
        assert same(cr.Item(image=form).image), repr(form)[:60]
    bfloat16 = (tensor / 255.0).to(torch.bfloat16)
    seen = np.asarray(cr.open_image(bfloat16), int)
    assert np.abs(seen - PIXELS).max() <= 2  # eight bits of mantissa


def test_grey_and_boolean_arrays() -> None:
    grey = PIXELS[:, :, 0]
    for form in (grey, grey[:, :, None], grey[None]):
        assert (np.asarray(cr.open_image(form))[:, :, 1] == grey).all()
    assert np.asarray(cr.open_image(grey > 100)).max() == 255


def test_a_file_is_left_where_it_was(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(7)
        assert same(file)
        assert file.tell() == 7
    written = io.BytesIO()
    Image.fromarray(PIXELS).save(written, "png")
    assert same(written)  # its position is at the end


def test_what_can_only_be_a_picture_needs_no_saying(path: Path) -> None:
    for form in (path, PNG, io.BytesIO(PNG), URI, PIXELS, Image.fromarray(PIXELS)):
        assert as_item(form).modality == "image"
    assert as_item(path).id == str(path)
    assert as_item(URI).id is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BASE64, "looks like a picture in base64; use Item"),
        (base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(60)).decode(), "in base64"),
        ("https://example.org/a", "looks like an address; crossrank downloads nothing"),
        ("s3://bucket/a.jpg", "an address"),
        ("file:///photos/a", "looks like a file address; use Item"),
        ("photos/a.jpg", "looks like a file; use Path"),
    ],
)
def test_a_str_that_was_meant_as_a_picture_is_not_ranked_as_a_text(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        as_item(text)
    assert len(str(caught.value)) < 250
    assert as_item(cr.Item(text=text)).text == text
    assert as_item(text, "text").text == text


@pytest.mark.parametrize(
    "text",
    ["data: the new oil", "see https://example.org for more", "iVBORw0KGgo", "a" * 400, "12:30"],
)
def test_texts_stay_texts(text: str) -> None:
    assert as_item(text).text == text


def test_where_it_is_said_a_str_is_a_picture(path: Path) -> None:
    for text in (str(path), path.as_uri(), BASE64, URI):
        item = as_item(text, "image")
        assert item.modality == "image"
        assert same(item.image)
    assert as_item(str(path), "image").id == str(path)


@pytest.mark.parametrize(
    ("kind", "message", "value"),
    [
        (InputError, "an address, and crossrank downloads nothing", "https://example.org/a.jpg"),
        (InputError, "lies on another machine", "file://server/a.jpg"),
        (InputError, "empty str", "  "),
        (InputError, "of application/pdf is no picture", "data:application/pdf;base64,AAAA"),
        (InputError, "of text/plain is no picture", "data:,hello"),
        (ImageError, "its base64 cannot be decoded", "data:image/png;base64,A*B"),
        (ImageError, "its base64 cannot be decoded", BASE64 + "*"),
        (InputError, "a dict is no picture", {"path": "a.jpg"}),
        (InputError, "no open binary file", io.StringIO("a")),
        (ImageError, r"float64 \(192,\) is no picture.*Item\(embedding", np.zeros(192)),
        (ImageError, "no picture", np.zeros((2, 3, 4, 4))),
        (ImageError, "no picture", np.zeros((5, 5, 7))),
        (ImageError, "from -1 to 0; give the picture itself", np.linspace(-1, 0, 4)[None]),
        (ImageError, "from nan", np.full((2, 2), np.nan)),
        (ImageError, "from 0 to 300", np.array([[0, 300]])),
        (ImageError, "no pixels", np.zeros((0, 4, 3))),
        (ImageError, "is no picture; give uint8", np.array([["a", "b"]])),
    ],
)
def test_what_is_no_picture_says_how(kind: type[CrossrankError], message: str, value: Any) -> None:
    with pytest.raises(kind, match=message):
        as_picture(value)


def test_an_upload_that_must_be_awaited_is_refused_without_a_warning() -> None:
    class Upload:
        async def read(self) -> bytes:
            return PNG

        def seekable(self) -> bool:
            return False

    with pytest.raises(InputError, match="no open binary file"):
        as_picture(Upload())


@pytest.mark.parametrize("content", [b"", b"nothing", PNG[:60], PNG[:20]])
def test_bytes_that_are_damaged_are_named(content: bytes) -> None:
    with pytest.raises(ImageError, match="the picture in bytes"):
        cr.open_image(content)


def test_encoders_get_paths_and_open_images(path: Path) -> None:
    from toys.basic import ToyEncoder

    seen: list[type] = []

    class Looking(ToyEncoder):
        def encode_batch(self, items: Any, modality: str, features: Any) -> Any:
            seen.extend(type(item.image) for item in items)
            return super().encode_batch(items, modality, features)

    made = cr.encode(Looking(), [path, PNG, URI, PIXELS, io.BytesIO(PNG)])
    assert all(issubclass(each, Path | Image.Image) for each in seen)
    assert (made["embedding"] == made["embedding"][0]).all()
    assert "path" not in made
    said = cr.encode(Looking(), [str(path), BASE64], "image", ["size"])
    assert said["size"].tolist() == [[9, 6], [9, 6]]
    with pytest.raises(ImageError, match="the picture in bytes of item"):
        cr.encode(Looking(), [PNG, b"nothing"])


def test_items_of_bytes_survive_pickle() -> None:
    import pickle

    item = cr.Item("a", image=URI)
    assert pickle.loads(pickle.dumps(item)) == item
