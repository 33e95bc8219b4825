"""Stages that a file describes, and the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import crossrank as cr
from crossrank.cli.kit import read_stage
from crossrank.errors import FormatError, ParameterError, UnknownPluginError

SETTINGS = sorted((Path(__file__).parents[2] / "examples" / "settings").glob("*.toml"))


def written(folder: Path, text: str) -> Path:
    (folder / "stage.toml").write_text(text, encoding="utf-8")
    return folder / "stage.toml"


def test_a_file_says_everything_that_a_stage_takes(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'reranker = "filip"\nname = "late"\ndepth = 20\nweight = 0.5\nnormalise = "minmax"\n'
        'mode = "both"\n',
    )
    stage = cr.Stage.from_file(path)
    fusion = cr.WeightedSum(0.5, normalise="minmax")
    assert stage == cr.Stage("filip", 20, fusion, {"mode": "both"}, "late")
    assert cr.Stage.from_file(str(path), depth=5, mode="t2i").depth == 5
    assert read_stage(f"{path}:depth=7").depth == 7
    assert read_stage(f"{path}").name == "late"


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.name)
def test_every_published_setting_is_a_stage(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert "docs/" in path.read_text(encoding="utf-8")
    stage = cr.Stage.from_file(path)
    assert path.name.startswith(stage.name)


def test_there_are_published_settings() -> None:
    names = {path.name.partition(".")[0] for path in SETTINGS}
    trained = {"filip", "hosa", "mack", "lite_itm", "graph", "cora", "adamatch", "cprd"}
    assert trained | {"nnn", "csls", "invsoftmax", "qbnorm", "dualis", "dsl", "sinkhorn"} <= names


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (None, FormatError, "cannot be read"),
        ("reranker = ", FormatError, "is no TOML"),
        ("depth = 3", FormatError, "reranker is ''"),
        ("reranker = 3", FormatError, "reranker is 3"),
        ('reranker = "filip"\nname = 3', FormatError, "name is 3"),
        ('reranker = "fillip"', UnknownPluginError, "filip"),
        ('reranker = "filip"\nmodus = "both"', ParameterError, "modus"),
        ('reranker = "filip"\nfusion = "sum"', ParameterError, "no fusion is called 'sum'"),
        ('reranker = "filip"\nfusion = "rrf"\nweight = 2', ParameterError, "weight belongs to"),
        ("a = " + "[" * 5000, FormatError, "is no TOML"),
    ],
)
def test_what_is_none_is_one_clear_error(
    text: str | None, error: type[Exception], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "stage.toml" if text is None else written(tmp_path, text)
    with pytest.raises(error, match=says):
        cr.Stage.from_file(path)
