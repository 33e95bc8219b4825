"""Real photographs, and one encoder for all tests, since loading the models takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image

from crossrank_lite.encoder import LiteEncoder


@pytest.fixture(scope="session")
def photographs() -> dict[str, Image.Image]:
    """Return what ships in scikit-image and scikit-learn."""
    data = pytest.importorskip("skimage.data", reason="scikit-image has the photographs")
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the photographs")
    arrays = {
        "chelsea": data.chelsea(),
        "coffee": data.coffee(),
        "rocket": data.rocket(),
        "motorcycle": data.stereo_motorcycle()[0],
        "flower": datasets.load_sample_image("flower.jpg"),
    }
    return {name: Image.fromarray(each) for name, each in arrays.items()}


@pytest.fixture(scope="session")
def encoder() -> LiteEncoder:
    return LiteEncoder()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: for models as small as these, waiting for others takes longest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
