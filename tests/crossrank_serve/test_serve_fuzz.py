"""Random requests of every route: no status 500, no hang, no growth.

``research/serve_fuzz.py`` sends as many as one likes, over real models; the first are held here.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from crossrank_serve.service import Service
from toys.serving import engine, searching

COUNT = 1500
SCRIPT = Path(__file__).parents[2] / "research" / "serve_fuzz.py"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serve_fuzz", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["serve_fuzz"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells its memory")
def test_random_requests(tmp_path: Path) -> None:
    made = script()
    made.pictures_in(tmp_path)
    own = engine(limits=made.LIMITS)
    service = Service(own, made.LIMITS, searcher=searching(own, tmp_path))
    found = asyncio.run(made.fuzz(service, 0, COUNT))
    assert not found.faults, found.faults[:3]
    assert found.requests == COUNT
    assert found.statuses[200] > COUNT / 20 and found.statuses[422] > COUNT / 20
    assert found.memory[-1] - found.memory[0] < 64, found.memory
