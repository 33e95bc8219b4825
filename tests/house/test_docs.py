"""Commands and Python of the README and docs/ name what is there."""

from __future__ import annotations

import ast
import os
import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from crossrank.cli import main
from crossrank.errors import MissingPackageError

HOUSE = Path(__file__).parents[2]
PAGES = [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]
MAP = HOUSE / "docs" / "README.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
SHORTENED = "…"


def blocks(language: str) -> list[tuple[str, str]]:
    """Return ``(page, block)`` of every fenced block in a language."""
    return [
        (page.name, body)
        for page in PAGES
        for found, body in FENCE.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def commands() -> list[tuple[str, list[str]]]:
    """Return ``(page, words)`` of every command line, its comment taken off."""
    lines = [
        (page, shlex.split(line, comments=True))
        for language in ("bash", "sh", "console", "")
        for page, body in blocks(language)
        for line in body.replace("\\\n", " ").splitlines()
        if re.match(r" *(\$ )?(crossrank|python) ", line)
    ]
    return [(page, words[words[0] == "$" :]) for page, words in lines]


COMMANDS = [(page, words[1:]) for page, words in commands() if words[0] == "crossrank"]
SCRIPTS = [(page, words[1:]) for page, words in commands() if words[0] == "python"]


def linked(page: Path) -> list[tuple[Path, str]]:
    """Return the files that a page links to, each with the heading that is meant."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = [
        link.removeprefix("https://github.com/crossrank/crossrank/blob/main/")
        for link in LINK.findall(text)
    ]
    split = [link.partition("#") for link in found if "://" not in link]
    start = HOUSE if page == HOUSE / "README.md" else page.parent
    return [((start / path).resolve() if path else page, anchor) for path, _, anchor in split]


def anchors(page: Path) -> set[str]:
    """Return what links name the headings of a page by."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(HOUSE)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in linked(page):
        assert path.exists(), f"{page.name} links to {path}, which is not there"
        assert not anchor or anchor in anchors(path), (
            f"{page.name}: no heading {path.name}#{anchor}"
        )


def test_the_map_of_the_docs_names_every_page() -> None:
    there = {page.resolve() for page in PAGES} - {MAP, HOUSE / "README.md"}
    assert there == there & {path for path, _ in linked(MAP)}


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 50
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in COMMANDS]
)
def test_a_command_is_understood(
    page: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def any_path(kind: click.Path, value: str | os.PathLike[str], *_: object) -> object:
        return kind.coerce_path_result(value)

    monkeypatch.setattr(click.Path, "convert", any_path)
    shortened = SHORTENED in words
    command: click.Command = main
    context = click.Context(main, info_name="crossrank")
    rest = [word for word in words if word != SHORTENED]
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None, f"{page}: no command {words[0]}"
        command, context = found, click.Context(found, parent=context, info_name=found.name)
    try:
        command.make_context(command.name, rest, parent=context.parent)
    except click.MissingParameter:
        assert shortened, f"{page}: {' '.join(words)}"


@pytest.mark.parametrize(
    ("page", "words"), SCRIPTS, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in SCRIPTS]
)
def test_a_script_is_there_and_knows_its_options(page: str, words: list[str]) -> None:
    script = HOUSE / words[0]
    assert script.is_file(), f"{page}: {words[0]} is not there"
    source = source_of(script)
    subcommand = [word for word in words[1:2] if re.fullmatch(r"[a-z]+", word)]
    options = [word for word in words[1:] if re.match(r"--?[a-zA-Z]", word)]
    for name in [*subcommand, *(option.lstrip("-") for option in options)]:
        assert re.search(rf"[\"'-]{name}[\"']", source), f"{page}: {words[0]} does not know {name}"


def source_of(script: Path) -> str:
    """Return a script's text with that of the modules beside it that it imports."""
    text = script.read_text(encoding="utf-8")
    beside = {script.with_name(f"{name}.py") for name in re.findall(r"^from (\w+)", text, re.M)}
    return "\n".join([text, *(p.read_text(encoding="utf-8") for p in beside if p.is_file())])


PYTHON = blocks("python")


@pytest.mark.parametrize(
    ("page", "block"), PYTHON, ids=[f"{page}: {block[:40]!r}" for page, block in PYTHON]
)
def test_python_names_what_is_there(page: str, block: str) -> None:
    tree = ast.parse(block)
    aliases: dict[str, str] = {"cr": "crossrank"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and ours(node.module):
            for alias in node.names:
                assert has(str(node.module), alias.name), f"{page}: {node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = aliases.get(node.value.id)
            if ours(module):
                assert has(str(module), node.attr), f"{page}: {node.value.id}.{node.attr}"


def ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0].startswith("crossrank")


def has(module: str, name: str) -> bool:
    try:
        if hasattr(import_module(module), name):
            return True
    except MissingPackageError as error:  # a host that is not installed here
        pytest.skip(str(error))
    try:
        import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True
