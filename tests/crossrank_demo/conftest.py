"""One run of the demo with toy plugins, shared by the tests of its parts."""

from __future__ import annotations

import pytest

from crossrank_demo import DemoResult, run_demo
from toys.basic import ToyEncoder
from toys.demo import NaiveFilip


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    page = tmp_path_factory.mktemp("demo") / "page.html"
    return run_demo(page, encoder=ToyEncoder, reranker=NaiveFilip)
