"""Killed at random moments, what is resumed ends with the same bytes.

``research/kill.py`` kills as often as one likes; the first kills are held here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "research" / "kill.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_are_survived_and_add_up(tmp_path: Path) -> None:
    output = tmp_path / "kill.json"
    works = ["encode", "rerank_to", "knowledge build"]
    command = [sys.executable, str(SCRIPT), "--kills", "6", "-o", str(output)]
    for runs in (1, 2):
        only = [word for work in works for word in ("--only", work)]
        subprocess.run([*command, *only], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        record = json.loads(output.read_text(encoding="utf-8"))
        assert record["faults"] == []
        assert sum(record["kills"].values()) >= 6 * runs


def test_kills_of_what_cannot_go_on_are_seen(tmp_path: Path) -> None:
    """A work that leaves something else once it was killed is a fault."""
    careless = (
        SCRIPT.with_name("kill_works.py")
        .read_text(encoding="utf-8")
        .replace(
            'KnowledgeBank.build(_labelled(1_500), own / "made"',
            'KnowledgeBank.build(_labelled(1_500 - any(own.iterdir())), own / "made"',
        )
    )
    script, output = tmp_path / "kill.py", tmp_path / "kill.json"
    script.write_bytes(SCRIPT.read_bytes())
    script.with_name("kill_works.py").write_text(careless, encoding="utf-8")
    command = [sys.executable, str(script), "--kills", "4", "--only", "knowledge build"]
    subprocess.run([*command, "-o", str(output)], check=True, stdout=subprocess.DEVNULL)
    assert json.loads(output.read_text(encoding="utf-8"))["faults"]
