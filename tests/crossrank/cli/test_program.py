"""The program around the commands: what it loads, how it ends, what foreign commands may do."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import crossrank
from crossrank.cli import COMMANDS, main
from crossrank.cli._outcome import outcome
from crossrank.errors import InputError, StoreError
from crossrank.plugin.hookspecs import hookimpl

from .conftest import TOYS, Child, Cli

HEAVY = ("torch", "transformers", "spacy", "scipy", "ir_measures", "tqdm", "faiss", "onnxruntime")


def test_help_and_import_load_nothing_heavy() -> None:
    script = (
        "import sys, crossrank\n"
        "from crossrank.cli import main\n"
        "for args in ([], ['--help']):\n"
        "    try: main(args)\n"
        "    except SystemExit as stop: assert stop.code == 0, stop\n"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(TOYS), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    shown, _, loaded = done.stdout.partition("LOADED")
    modules = loaded.split()
    assert not set(HEAVY) & set(modules)
    assert not [name for name in modules if name.startswith(("crossrank_", "toy_"))]
    assert not {module for module, _ in COMMANDS.values()} & set(modules)
    for name in (*COMMANDS, "toy-hello", "toy-crash"):
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
    assert "(from toy 1.0)" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(cli: Cli, name: str) -> None:
    shown = cli(name, "--help").stdout
    assert f"Example:\n    crossrank {name}" in shown
    assert "--debug" in shown
    assert "--json" in shown


def test_the_summary_in_the_table_fits_the_command(cli: Cli) -> None:
    for name, (_, summary) in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name
        assert summary.endswith(".")


def test_the_module_is_the_program(child: Child) -> None:
    done = child("plugins", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert {record["name"] for record in json.loads(done.stdout)} >= {"toy", "toy_broken"}


def test_the_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"crossrank, version {crossrank.__version__}\n"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["plugin"], "did you mean 'plugins'"),
        (["search"], "crossrank search: Missing option"),
        (["search", "--deph", "3"], "No such option"),
        (["search", "--depth", "x"], "'x' is not a valid integer"),
        (["plugins", "extra"], "unexpected extra argument"),
        (["--nonsense"], "No such option"),
        (["-v"], "Missing command"),
    ],
)
def test_wrong_usage_is_one_line(cli: Cli, args: list[str], says: str) -> None:
    assert says in cli(*args, code=2).stderr


@pytest.mark.parametrize("before", [True, False])
def test_a_traceback_only_with_debug(cli: Cli, before: bool) -> None:
    command = ["encode", "gone.txt", "--encoder", "toy", "-o", "c"]
    line = cli(*command, code=2).stderr
    assert line.startswith("crossrank: gone.txt does not exist")
    result = CliRunner().invoke(main, ["--debug", *command] if before else [*command, "--debug"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith(f"\n{line}")


def test_a_foreign_command_runs_and_its_return_value_is_no_exit_code(cli: Cli) -> None:
    assert cli("toy-hello", "you").stdout == "hello you\n"


def test_a_foreign_command_cannot_replace_ours(cli: Cli) -> None:
    cli("toy-hello", "you")
    assert "Find the nearest neighbours" in cli("search", "--help").stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("toy-crash", "'toy-crash' of toy 1.0 could not be loaded: ImportError"),
        ("toy-liar", "did not add a command of that name, only something-else"),
        ("toy-hook", "'toy-hook' of toy 1.0 could not be loaded: KeyError: 'settings'"),
    ],
)
def test_a_broken_foreign_command_is_one_line(cli: Cli, name: str, says: str) -> None:
    assert says in cli(name, code=2).stderr
    cli("--help")


def test_names_are_completed_without_importing(cli: Cli) -> None:
    context = click.Context(main)
    assert [item.value for item in main.shell_complete(context, "toy-")] == [
        "toy-crash",
        "toy-hello",
        "toy-hook",
        "toy-liar",
    ]
    assert [item.value for item in main.shell_complete(context, "rer")] == ["rerank"]
    assert "toy_plugins" not in sys.modules


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a\nb"), 2, "crossrank: a\nb"),
        (StoreError("disk"), 2, "crossrank: disk"),
        (click.FileError("f", "gone"), 2, "crossrank: Could not open file 'f': gone"),
        (OSError(28, "No space left on device"), 2, "free some space"),
        (PermissionError(13, "Permission denied", "/x"), 2, "/x: Permission denied; check"),
        (click.Abort(), 130, "run the same command again"),
        (click.Abort("go on"), 130, "crossrank: interrupted; go on"),
        (ZeroDivisionError("division"), 1, "internal error: ZeroDivisionError: division"),
    ],
)
def test_outcomes(error: Exception, code: int, line: str) -> None:
    found = outcome(error)
    assert found[0] == code
    assert line in found[1]


def test_the_log_shows_on_request_and_logging_is_left_alone(cli: Cli, photos: Path) -> None:
    import logging

    before = logging.getLogger().level, list(logging.getLogger().handlers)
    assert cli("encode", photos, "--encoder", "toy", "-o", "a").stderr == ""
    shown = cli("-v", "encode", photos, "--encoder", "toy", "-o", "b").stderr
    assert shown.startswith("INFO crossrank._items.read_items:")
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before


def test_a_reader_that_goes_away_is_no_error(collections: tuple[Path, Path]) -> None:
    queries, gallery = collections
    rerank = (
        f"{sys.executable} -m crossrank rerank --run {queries.parent / 'base.trec'} --json "
        f"--queries {queries} --gallery {gallery} --stage toy | true; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", rerank],
        env={"PYTHONPATH": str(TOYS), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() in ("0", "1")  # 0 where the pipe took it all in time
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_that_is_full(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "crossrank", "plugins", "--json"],
            env={"PYTHONPATH": str(TOYS)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "crossrank: output: No space left on device; free some space and run again\n"
    )


def test_texts_that_the_terminal_cannot_show(child: Child, collections: tuple[Path, Path]) -> None:
    queries, gallery = collections
    done = child(
        *("explain", "--queries", queries, "--gallery", gallery, "--query", "t2"),
        *("--candidate", "i0.jpg", "--stage", "toy"),
        PYTHONIOENCODING="latin-1",
    )
    assert done.returncode == 0, done.stderr
    assert "a cat | \\u6a39" in done.stdout


def test_an_interrupt_says_how_to_go_on(child: Child, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"text {n}\n" for n in range(20)))
    done = child(
        *("encode", "texts.txt", "--encoder", "toy", "-o", "c"),
        TOY_SIGNAL_AT=f"9:{signal.SIGINT.value}",
    )
    assert done.returncode == 130
    assert done.stderr.strip() == (
        "crossrank: interrupted; run the same command again to go on from what is finished"
    )
    assert not (tmp_path / "c").exists()
    assert child("encode", "texts.txt", "--encoder", "toy", "-o", "c").returncode == 0


def test_the_hook_of_the_toys_is_ours() -> None:
    assert hookimpl.project_name == "crossrank"
