"""Whatever stands at one place of a command line: exit code 0, or 2 and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import crossrank as cr
from crossrank.cli import main

ODD = (
    *("", "x", "-1", "0", "1", "1e400", "nan", "2.5", "9" * 40, "é\u202e", "a" * 3000, "\x1b[31m"),
    *("/dev/null", "nope/nope", ".", "..", "queries", "gallery", "run.trec", "texts.txt", "photos"),
    *("{}", "[1]", "../x", "a=b", "filip", "'", "\udcff", "1:2", "-", "--", "*"),
)
LONG_RUNNING = {"chat", "demo", "reproduce", "serve"}
LONGEST_MESSAGE = 7000
"""The path of three thousand signs may stand in it twice."""


def commands(
    group: click.Command, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(group, click.Group):
        yield names, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and name not in LONG_RUNNING:
            yield from commands(command, (*names, name))


COMMANDS = dict(commands(main))
USUAL = {"run": "run.trec", "gallery": "gallery", "qrels": "qrels", "encoder": "lite"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "user-cache"))
    (tmp_path / "photos").mkdir()
    for color in ("red", "green"):
        Image.new("RGB", (30, 30), color).save(tmp_path / "photos" / f"{color}.png")
    (tmp_path / "texts.txt").write_text("a cat\na dog\n")
    (tmp_path / "run.trec").write_text("1 Q0 red.png 1 1.0 x\n2 Q0 green.png 1 1.0 x\n")
    (tmp_path / "qrels").write_text("1 0 red.png 1\n2 0 green.png 1\n")
    features: dict[str, Any] = {
        "embedding": np.eye(2, dtype=np.float32),
        "tokens": [np.eye(2, dtype=np.float32)] * 2,
    }
    cr.Collection(["1", "2"], "text", text=["a", "b"], **features).save("queries")
    cr.Collection(["red.png", "green.png"], "image", **features).save("gallery")
    return tmp_path


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_one_clear_end(names: tuple[str, ...], folder: Path) -> None:
    parameters = COMMANDS[names].params
    arguments = [each for each in parameters if isinstance(each, click.Argument)]
    options = [each for each in parameters if isinstance(each, click.Option) and not each.is_flag]
    for chosen in (*arguments, *options):
        for value in ODD:
            line = list(names)
            for each in arguments:
                line.append(value if each is chosen else USUAL.get(str(each.name), "queries"))
            for option in options:
                if option is chosen:
                    line += [option.opts[0], value]
                elif option.required:
                    line += [option.opts[0], USUAL.get(str(option.name), "queries")]
            done = CliRunner().invoke(main, line)
            said = f"{line}: {done.output[-300:]}"
            assert done.exit_code in (0, 2), said
            assert "nternal error" not in done.output, said
            assert done.exit_code == 0 or 0 < len(done.output) < LONGEST_MESSAGE, said
