"""The examples on the path, and one thread: for models as small as these, others only wait."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

RESEARCH = Path(__file__).parents[2] / "research"
sys.path.insert(0, str(RESEARCH))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
