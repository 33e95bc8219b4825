from __future__ import annotations

from pathlib import Path

import pytest

from crossrank_reinforce import Pairs
from toys.reinforce import write


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    return write(tmp_path / "pictures")
