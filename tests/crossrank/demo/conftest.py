"""One run of the demo with toy plugins, shared by the tests of its parts."""

from __future__ import annotations

import pytest

from crossrank.demo import DemoResult, run_demo
from demo_toys import NaiveFilip
from toys import ToyEncoder


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    page = tmp_path_factory.mktemp("demo") / "page.html"
    return run_demo(page, encoder=ToyEncoder, reranker=NaiveFilip)
