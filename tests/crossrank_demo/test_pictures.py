from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crossrank.errors import ImageError, MissingPackageError
from crossrank_demo.pictures import cut, locate, write_crops
from crossrank_demo.scenes import Crop, Photograph, load_scenes


def numbered(width: int, height: int) -> Image.Image:
    """Return a picture whose red is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8))


def photograph(package: str, file: str) -> Photograph:
    crop = Crop("x/whole", (0.0, 0.0, 1.0, 1.0), frozenset())
    return Photograph("x", package, file, "X", "nobody", "none", "https://example.org", (crop,))


def test_a_crop_has_the_pixels_of_its_box() -> None:
    part = np.asarray(cut(numbered(100, 50), (0.1, 0.2, 0.6, 1.0)))
    assert part.shape == (40, 50, 3)
    assert part[0, 0, :2].tolist() == [10, 10]
    assert part[-1, -1, :2].tolist() == [59, 49]


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.tuples(*[st.floats(0, 0.98)] * 2),
    st.floats(0.01, 1),
)
def test_a_crop_is_never_empty(
    width: int, height: int, corner: tuple[float, float], size: float
) -> None:
    x0, y0 = corner
    part = cut(numbered(width, height), (x0, y0, min(1.0, x0 + size), min(1.0, y0 + size)))
    assert part.width >= 1
    assert part.height >= 1


def test_every_photograph_ships_with_its_package_and_is_found_without_importing_it() -> None:
    for each in load_scenes().photographs:
        assert locate(each).is_file()


def test_crops_are_written_as_they_were_cut(tmp_path: Path) -> None:
    (coffee,) = (each for each in load_scenes().photographs if each.name == "coffee")
    files = write_crops((coffee,), tmp_path)
    assert list(files) == [crop.id for crop in coffee.crops]
    whole = Image.open(locate(coffee)).convert("RGB")
    for crop in coffee.crops:
        written = Image.open(files[crop.id])
        assert np.array_equal(np.asarray(written), np.asarray(cut(whole, crop.box)))
        assert min(written.size) > 100, "too small to see anything"


def test_the_crops_of_a_photograph_overlap() -> None:
    for each in load_scenes().photographs:
        covered = np.zeros((50, 50), int)
        for crop in each.crops:
            x0, y0, x1, y1 = (round(50 * edge) for edge in crop.box)
            covered[y0:y1, x0:x1] += 1
        assert covered.min() >= 1
        assert covered.max() >= 2


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "skimage", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'skimage.*pip install "crossrank\[demo\]"'):
        locate(photograph("skimage", "data/coffee.png"))


def test_a_package_without_the_file_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = ModuleSpec("somewhere", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ImageError, match=r"somewhere does not bring data/gone\.png"):
        locate(photograph("somewhere", "data/gone.png"))
