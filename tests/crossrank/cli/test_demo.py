"""``crossrank demo`` as a thin wrapper; what the demo does is tested where it lives."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import crossrank_demo
from crossrank.errors import MissingPackageError
from crossrank.evaluation import Evaluation, evaluate

from .conftest import Cli


@dataclass
class Result:
    page: Path
    metrics: Evaluation
    table: str = "before and after"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def run_demo(output: Path, **options: Any) -> Result:
        made.append(options)
        output.write_text("<html>")
        return Result(output, evaluate({"q": {"a": 1.0}}, {"q": "a"}, ["R@1"]))

    monkeypatch.setattr(crossrank_demo, "run_demo", run_demo)
    return made


def test_the_page_lies_in_the_folder(cli: Cli, calls: list[dict[str, Any]]) -> None:
    shown = cli("demo", "-o", "out/demo", "--reranker", "toy", "--encoder", "toy").stdout
    assert shown == "before and after\n\nthe page: out/demo/index.html\n"
    assert calls == [{"encoder": "toy", "reranker": "toy", "progress": False}]


def test_json_and_force(cli: Cli, calls: list[dict[str, Any]]) -> None:
    cli("demo")
    assert "--force to overwrite" in cli("demo", code=2).stderr
    shown = json.loads(cli("demo", "--force", "--json").stdout)
    assert shown["page"] == "crossrank-demo/index.html"
    assert shown["metrics"]["rows"]["run"]["R@1"] == 100.0


def test_nothing_is_left_when_it_fails(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_demo(output: Path, **options: Any) -> None:
        raise MissingPackageError("the demo needs Jinja2")

    monkeypatch.setattr(crossrank_demo, "run_demo", run_demo)
    assert "needs Jinja2" in cli("demo", "-o", "new", code=2).stderr
    assert not Path("new").exists()
    Path("file").write_text("x")
    assert "cannot be made a folder" in cli("demo", "-o", "file", code=2).stderr


def test_the_demo_takes_what_the_command_gives() -> None:
    import inspect

    inspect.signature(crossrank_demo.run_demo).bind(
        Path("page"), encoder="lite", reranker="filip", progress=False
    )
    fields = set(crossrank_demo.DemoResult.__dataclass_fields__)
    assert {"page", "metrics", "table"} <= fields
