"""The page about the command line names what there is, and nothing that there is not."""

import re
from pathlib import Path

import click
import pytest

from crossrank.cli import COMMANDS, main

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the docs are not in this copy")


def options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("--")
    }


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def loaded(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_section_with_options_that_exist(name: str) -> None:
    section = sections()[name]
    assert f"\ncrossrank {name}" in section
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section))
    assert named <= options(loaded(name)) | {"--help"}


def test_the_common_options_are_described() -> None:
    common = sections()["What holds for all of them"]
    assert {"--debug", "--json", "--progress"} <= set(re.findall(r"--[a-z-]+", common))
    for name in COMMANDS:
        assert {"--debug", "--verbose", "--json"} <= options(loaded(name))
