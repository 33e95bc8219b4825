from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import crossrank as cr
from crossrank.testing import make_collection
from toys import tiny_blip2
from toys.blip2 import CountingBackend


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: with models as tiny as these, waiting for others takes longest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_blip2.make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def model() -> Any:
    """Return a tiny model; nobody changes it."""
    return tiny_blip2.make_model()


@pytest.fixture(scope="session")
def exact_model() -> Any:
    """Return it in float64, for claims that two ways to compute a score are equal."""
    return tiny_blip2.make_model().double()


@pytest.fixture
def exact_backend(exact_model: Any, tokenizer: Any) -> CountingBackend:
    return CountingBackend(exact_model, tokenizer)


@pytest.fixture
def backend(model: Any, tokenizer: Any) -> CountingBackend:
    return CountingBackend(model, tokenizer)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, model: Any) -> Path:
    """Return the folder of a checkpoint; nobody changes it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_blip2.make_tokenizer(folder)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def texts() -> cr.Collection:
    return make_collection("text", 6)


@pytest.fixture(scope="session")
def images() -> cr.Collection:
    return make_collection("image", 8, seed=1)
