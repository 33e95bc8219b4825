"""``crossrank explain --keywords`` with the stage adamatch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crossrank.cli import main
from crossrank.testing import make_collection
from toys.adamatch import pictures


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_collection("text", 5).save(tmp_path / "texts")
    pictures(4).save(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(query: str, sides: tuple[str, str], *more: str, stage: str = "adamatch") -> Result:
    listed = "image-1-0" if sides[1] == "images" else "text-0-0"
    command = ["explain", "--queries", sides[0], "--gallery", sides[1], "--query", query]
    found = CliRunner().invoke(main, [*command, "--candidate", listed, "--stage", stage, *more])
    assert not isinstance(found.exception, AssertionError)
    return found


def test_it_prints_keywords_boxes_and_a_prompt(folder: Path) -> None:
    plain = explain("image-1-2", ("images", "texts"))
    assert plain.exit_code == 0 and "keyword" not in plain.output
    found = explain("image-1-2", ("images", "texts"), "--candidate", "text-0-1", "--keywords")
    assert found.exit_code == 0, found.output
    assert "image-1-2  adamatch keywords" in found.output
    assert "Describe the picture image-1-2" in found.output
    assert found.output.startswith(plain.output[:40])


def test_as_json_it_holds_hints_and_prompt(folder: Path) -> None:
    found = explain("text-0-2", ("texts", "images"), "--keywords", "--json")
    told = json.loads(found.output)
    (hints,) = told["hints"]["adamatch"]
    assert hints["picture"] == "image-1-0"
    assert hints["keywords"][0]["word"] in hints["prompt"]
    assert told["stages"]["adamatch"][0]["keywords"]
    assert "hints" not in json.loads(explain("text-0-2", ("texts", "images"), "--json").output)


def test_a_stage_without_keywords_says_so(folder: Path) -> None:
    found = explain("text-0-2", ("texts", "images"), "--keywords", stage="filip")
    assert found.exit_code == 2
    assert "filip gives no keywords" in found.output
