"""A click group that imports a command when it is used, and turns every failure into one line."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click
from click.shell_completion import CompletionItem

from crossrank.cli._outcome import Settings, exit_code, logging_to_stderr, open_closed_output
from crossrank.errors import PluginError, nearest
from crossrank.plugin import registry


class LazyGroup(click.Group):
    """Commands named by a table and by the entry-point group ``crossrank.commands``.

    The table has, per command, the module that holds it, as ``command``, and its one-line summary.
    """

    def __init__(self, name: str, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(name, no_args_is_help=False, **settings)
        self.table = table

    def summaries(self) -> dict[str, str]:
        """Return every command with one line about it, without importing any."""
        known = {name: summary for name, (_, summary) in self.table.items()}
        return {
            name: known[name] if name in known else registry.command_summary(name)
            for name in self.names()
        }

    def names(self) -> list[str]:
        """Return the names of all commands, ours first, reading nothing about them."""
        foreign = (name for name in registry.names("command") if name not in self.table)
        return [*self.table, *foreign]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, ours first."""
        return self.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; one of another distribution inside the registry's guard."""
        if cmd_name in self.table:
            command: click.Command = import_module(self.table[cmd_name][0]).command
            return command
        if cmd_name not in registry.names("command"):
            return None
        # a group of its own: whatever else the plugin adds cannot reach ours
        theirs = click.Group(cmd_name)
        registry.load_commands(cmd_name, theirs)
        if cmd_name not in theirs.commands:
            raise PluginError(
                f"the command {cmd_name!r} of {registry.origin('command', cmd_name)} did not add a "
                f"command of that name, only {', '.join(theirs.commands) or 'none'}"
            )
        return theirs.commands[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command in the arguments, or offer the nearest names."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise click.UsageError(f"no command is called {args[0]!r}{nearest(args[0], known)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands for ``--help``."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries().items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names, importing nothing."""
        names = [
            CompletionItem(name, help=summary)
            for name, summary in self.summaries().items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; none at all is a request for help."""
        return super().parse_args(ctx, args or ["--help"])

    def invoke(self, ctx: click.Context) -> None:
        """Run the command; what it returns is no exit code, only ``ctx.exit(code)`` is one."""
        super().invoke(ctx)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the program and exit: 0, 2 for bad input, 130 when interrupted, 1 for our own bugs.

        Without `standalone_mode` exceptions come through, as of `click.Command.main`.
        """
        settings = Settings()
        run = partial(super().main, *args, standalone_mode=False, obj=settings, **extra)
        if not standalone_mode:
            return run()
        # where all memory is given back, Python would still look through it for cycles, and longer
        # than many a command takes
        atexit.register(gc.freeze)
        open_closed_output()
        if isinstance(sys.stdout, TextIOWrapper):
            # a file name or a text that the terminal cannot show is no reason to fail
            sys.stdout.reconfigure(errors="backslashreplace")
        with logging_to_stderr():
            code = exit_code(run, settings)
        sys.exit(code)
