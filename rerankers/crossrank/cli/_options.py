"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from crossrank._engine.options import DTYPES, ENGINES, POLICIES
from crossrank._items.collection_folder import verify_collection
from crossrank.cli._outcome import Settings, set_verbosity

AnyCommand = TypeVar("AnyCommand", bound=click.Command)
Function = TypeVar("Function", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def _debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    settings = ctx.find_object(Settings)
    if value and settings is not None:
        settings.debug = True


def _verbose(ctx: click.Context, parameter: click.Parameter, value: int) -> None:
    if value:
        set_verbosity(value)


def common_options(command: AnyCommand) -> AnyCommand:
    """Add the options that may stand before or after a command's name."""
    command.params += [
        click.Option(
            ["--debug"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_debug,
            help="Show a traceback when something goes wrong.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            is_eager=True,
            expose_value=False,
            callback=_verbose,
            help="Show the log; twice for details.",
        ),
    ]
    return command


def crossrank_command(name: str, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command with the common options and an example in its help.

    Parameters
    ----------
    name
        The command's name.
    example
        One or more lines to type.
    """
    lines = "\n".join(f"  {line}" for line in example.splitlines())

    def decorate(function: Callable[..., Any]) -> click.Command:
        command = click.command(name, epilog=f"\b\nExample:\n{lines}")(function)
        return common_options(command)

    return decorate


def queries_and_gallery(function: Function) -> Function:
    """Add ``--queries``, ``--gallery``, and ``--verify``, which reads both before the work."""

    @wraps(function)
    def verified(*arguments: Any, verify: bool, **given: Any) -> Any:
        if verify:
            for side in (given["queries"], given["gallery"]):
                verify_collection(side)
        return function(*arguments, **given)

    made = click.option(
        "--verify",
        is_flag=True,
        help="Read both collections whole and refuse one that is not what was written.",
    )(cast(Function, verified))
    made = click.option(
        "--gallery", required=True, type=PATH, help="The collection that is searched."
    )(made)
    return click.option("--queries", required=True, type=PATH, help="The collection that asks.")(
        made
    )


def resources(function: Function) -> Function:
    """Add the options that say where and how scorers compute, and where they keep things."""
    for option in (
        click.option(
            "--plugin-cache",
            "--cache",
            "cache_folder",
            type=PATH,
            help="A folder where scorers may keep what they prepared.",
        ),
        click.option("--threads", type=int, help="Threads per kernel; all cores by default."),
        click.option(
            "--dtype",
            type=click.Choice(DTYPES),
            default="float32",
            show_default=True,
            help="What scorers run their models in.",
        ),
        click.option(
            "--device", default="cpu", show_default=True, help="Where scorers run their models."
        ),
    ):
        function = option(function)
    return function


def engine(function: Function) -> Function:
    """Add the options that say how blocks are shared out, here or on a cluster."""
    for option in (
        click.option(
            "--gpus-per-worker", type=float, default=0.0, help="For Ray: a part of a GPU, as 0.5."
        ),
        click.option("--ray-address", help="Of a running cluster; else one is started here."),
        click.option(
            "--engine",
            type=click.Choice(ENGINES),
            default="local",
            show_default=True,
            help="Score blocks in threads of this process, or in actors of Ray.",
        ),
        click.option(
            "--on-error",
            type=click.Choice(POLICIES),
            default="raise",
            show_default=True,
            help="When a scorer fails on a block: stop, or leave its queries in the order they "
            "had.",
        ),
        click.option(
            "--memory-budget", help="What the run may hold; a quarter of memory by default."
        ),
        click.option(
            "--workers", type=int, default=1, show_default=True, help="Blocks scored at once."
        ),
    ):
        function = option(function)
    return function


stages = click.option(
    "--stage",
    "stages",
    required=True,
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="A reranker with its depth, fusion (weighted, replace, rrf), weight, normalise, k and "
    "parameters; repeat it for several stages.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")

force = click.option("--force", is_flag=True, help="Overwrite the output file.")

progress = click.option(
    "--progress/--no-progress",
    default=None,
    callback=lambda ctx, parameter, value: sys.stderr.isatty() if value is None else value,
    help="Show bars on standard error; by default only on a terminal.",
)
