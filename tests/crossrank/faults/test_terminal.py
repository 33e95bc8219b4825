"""What stands in files of others neither steers a terminal nor depends on one (A2.11, A9)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import crossrank as cr
from crossrank.cli import main
from crossrank.evaluation._table import text_table
from toys.ablation import Noisy

CLEARS = "\x1b[2J\x9b2J\u202egone"


@pytest.fixture
def sides(tmp_path: Path) -> tuple[str, ...]:
    """Return the options for collections of which ids and texts hold anything."""
    rows = np.eye(2, dtype=np.float32)
    asked = cr.Collection(["q"], "text", embedding=rows[:1], text=[f"a {CLEARS} dog"])
    asked.save(tmp_path / "queries")
    shown = cr.Collection([f"i{CLEARS}", "b"], "image", embedding=rows)
    shown.save(tmp_path / "gallery")
    return "--queries", str(tmp_path / "queries"), "--gallery", str(tmp_path / "gallery")


@pytest.mark.parametrize("command", ["explain", "unknown"])
def test_no_escape_reaches_the_terminal(sides: tuple[str, ...], command: str) -> None:
    cr.register(Noisy)
    candidate = f"i{CLEARS}" if command == "explain" else f"none{CLEARS}"
    asked = ["explain", *sides, "--stage", "noisy", "--query", "q", "--candidate", candidate]
    found = CliRunner().invoke(main, asked)
    assert found.exit_code == (0 if command == "explain" else 2), found.output
    assert "gone" in found.output and "[2J" in found.output
    for sign in ("\x1b", "\x9b", "\u202e"):
        assert sign not in found.output


def test_no_escape_is_in_a_table() -> None:
    assert "\x1b" not in "".join(text_table([["name", "R@1"], [f"a{CLEARS}", "1.0"]]))


def test_no_escape_is_in_the_log(tmp_path: Path) -> None:
    """Names of files go there."""
    script = (
        "import logging, sys\n"
        "from crossrank.cli._outcome import logging_to_stderr\n"
        "with logging_to_stderr(): logging.getLogger('a').warning('%s', 'x\\x1b[2Jy')\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert b"\x1b" not in found.stderr and b"[2Jy" in found.stderr


@pytest.mark.parametrize(
    ("closed", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("> /dev/full", 2)]
)
def test_finished_work_is_no_internal_error_where_output_is_closed(
    sides: tuple[str, ...], tmp_path: Path, closed: str, code: int
) -> None:
    run = tmp_path / "run.trec"
    words = " ".join([sys.executable, "-m", "crossrank", "search", *sides, "-o", str(run)])
    shell = subprocess.run(
        ["/bin/sh", "-c", f"{words} {closed}"], capture_output=True, text=True, check=False
    )
    assert "internal error" not in shell.stderr
    assert shell.returncode == code, shell.stderr
    assert run.is_file()
