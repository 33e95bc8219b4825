"""Every form of a picture, damaged, empty, or of another kind than the rest of its list."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError
from toys.basic import DotReranker, ToyEncoder

Form = Callable[[bytes, Path], Any]


def written(content: bytes, folder: Path) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.png"
    path.write_bytes(content)
    return path


def opened(content: bytes, folder: Path) -> Image.Image:
    """Return a PIL image that is not read before it is needed."""
    return Image.open(written(content, folder)) if content else Image.new("RGB", (0, 0))


def array(content: bytes, folder: Path) -> np.ndarray:
    if not content:
        return np.zeros((0, 0, 3), np.uint8)
    try:
        return np.asarray(Image.open(io.BytesIO(content)))
    except OSError:
        return np.full((64, 64, 3), np.nan)


def tensor(content: bytes, folder: Path) -> Any:
    torch = pytest.importorskip("torch")
    return torch.from_numpy(np.moveaxis(array(content, folder), 2, 0).copy())


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


FORMS: dict[str, Form] = {
    "Path": written,
    "str": lambda content, folder: str(written(content, folder)),
    "file address": lambda content, folder: written(content, folder).as_uri(),
    "bytes": lambda content, _: content,
    "binary file": lambda content, _: io.BytesIO(content),
    "data URI": lambda content, _: f"data:image/png;base64,{text(content)}",
    "base64": lambda content, _: text(content),
    "PIL": opened,
    "array": array,
    "tensor": tensor,
}
SAID = ("str", "file address", "base64")
"""Where the caller says that a str is a picture."""


@pytest.fixture(autouse=True)
def registered() -> None:
    cr.register(DotReranker)
    cr.register(ToyEncoder)


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("trouble", ["damaged", "empty", "of another kind"])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_refused_kept_or_dropped(form: str, trouble: str, tmp_path: Path) -> None:
    make = FORMS[form]
    wrong: Any = cr.Item(text="a text")
    if trouble != "of another kind":
        wrong = make(b"" if trouble == "empty" else picture(9)[:4000], tmp_path)
    good = [make(picture(seed), tmp_path) for seed in range(3)]
    said: dict[str, Any] = {"modality": "image"} if form in SAID else {}

    def call(candidates: list[Any], **options: Any) -> cr.Ranking:
        return cr.rerank("red", candidates, "dot", encoder="toy", **said, **options)

    mixed = [good[0], wrong, *good[1:]]
    with pytest.raises(CrossrankError):
        call(mixed)
    order = [hit.index for hit in call(good)]
    kept = call(mixed, on_item="keep")
    assert [hit.index for hit in kept] == [*(row + (row > 0) for row in order), 1]
    assert kept[-1].trace[0].score is None and len(kept[-1].trace[0].note) > 5
    dropped = call(mixed, on_item="drop")
    assert [hit.index for hit in dropped] == [hit.index for hit in kept[:3]]
