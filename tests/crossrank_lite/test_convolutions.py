"""What onnxruntime computes is what torch computes, by however many threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank_lite.picture_tower as towers
from crossrank_lite.onnx_model import Node, model_bytes
from crossrank_lite.picture_tower import PictureTower, squeezed, to_pixels

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def tower() -> PictureTower:
    return PictureTower()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_torch_gives_the_same_grid(
    tower: PictureTower, photographs: dict[str, Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(towers, "find_spec", lambda name: None)
    without = PictureTower()
    monkeypatch.setattr(without, "net", tower.net)
    for name in ("coffee", "rocket"):
        pixels = to_pixels(photographs[name])[None]
        np.testing.assert_allclose(without.grid(pixels), tower.grid(pixels), atol=1e-4)


@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit_and_keep_the_order(
    tower: PictureTower, photographs: dict[str, Image.Image]
) -> None:
    pictures = [squeezed(each) for each in photographs.values()]
    grids = []
    for number in (1, 3):
        torch.set_num_threads(number)
        grids.append(np.stack(tower.grids(iter(pictures))))
    np.testing.assert_array_equal(grids[0], grids[1])
    np.testing.assert_array_equal(grids[0][2], tower.grid(to_pixels(pictures[2])[None])[0])


@pytest.mark.usefixtures("threads")
def test_a_picture_that_cannot_be_made_stops_the_others(tower: PictureTower) -> None:
    def pictures() -> Iterator[Image.Image]:
        yield squeezed(Image.new("RGB", (9, 9)))
        raise OSError("gone")

    for number in (1, 2):
        torch.set_num_threads(number)
        with pytest.raises(OSError, match="gone"):
            tower.grids(pictures())


def test_a_model_by_hand() -> None:
    """Attributes beyond one byte, a scalar, several inputs: read back by onnxruntime."""
    nodes = [
        Node("Transpose", ("given",), ("turned",), {"perm": [1, 0]}),
        Node("Clip", ("turned", "low", "high"), ("clipped",)),
        Node("Add", ("clipped", "table"), ("sum",)),
        Node("Concat", ("sum", "sum"), ("twice",), {"axis": 1}),
    ]
    table = np.arange(600, dtype=np.float32).reshape(300, 2)
    weights = {"low": np.array(-1, np.float32), "high": np.array(1, np.float32), "table": table}
    made = model_bytes(nodes, weights, ("given", (2, 300)), "twice")
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    given = np.linspace(-3, 3, 600, dtype=np.float32).reshape(2, 300)
    [found] = session.run(None, {"given": given})
    expected = np.clip(given.T, -1, 1) + table
    np.testing.assert_array_equal(found, np.concatenate([expected, expected], axis=1))
