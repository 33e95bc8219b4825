"""How a command ends: an exit code, and one line on standard error if something is wrong."""

from __future__ import annotations

import errno
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from crossrank._text import shown
from crossrank.cli._advice import at_terminal
from crossrank.errors import CrossrankError

FAILURE, BAD_INPUT, INTERRUPTED = 1, 2, 130
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


@dataclass(slots=True)
class Settings:
    """What the options say that every command has: whether to print a traceback, too."""

    debug: bool = False


def exit_code(program: Callable[[], Any], settings: Settings) -> int:
    """Run a program and return its exit code, telling on standard error what went wrong.

    An int that it returns is its code; `settings` are filled in while it reads its options.
    """
    try:
        code = program()
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return FAILURE
    except Exception as error:
        if settings.debug:
            traceback.print_exc()
        if isinstance(error, OSError):
            _discard_output()
        code, line = outcome(error)
        click.echo(shown(" ".join(line.splitlines())), err=True)
        return code
    return code if isinstance(code, int) else 0


def open_closed_output() -> None:
    """Let standard output and error that are closed be the null device.

    Python has None there, and the next file that is opened would take the number to which libraries
    write their complaints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def outcome(error: Exception) -> tuple[int, str]:
    """Return the exit code and the line for an exception."""
    if isinstance(error, CrossrankError):
        return BAD_INPUT, f"crossrank: {at_terminal(str(error))}"
    if isinstance(error, click.UsageError):
        where = "crossrank" if error.ctx is None else error.ctx.command_path
        return BAD_INPUT, f"{where}: {error.format_message()} (see '{where} --help')"
    if isinstance(error, click.ClickException):
        return BAD_INPUT, f"crossrank: {error.format_message()}"
    if isinstance(error, click.Abort):
        again = str(error) or "no half-written output was left; run the same command again"
        return INTERRUPTED, f"crossrank: interrupted; {again}"
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "free some space and run again" if full else "check the path and its permissions"
        what = error.strerror or type(error).__name__
        return BAD_INPUT, f"crossrank: {error.filename or 'output'}: {what}; {mend}"
    return FAILURE, (
        f"crossrank: internal error: {type(error).__name__}: {error}; "
        "run again with --debug and report the traceback"
    )


def set_verbosity(count: int) -> None:
    """Show more of the log: progress for 1, details for 2."""
    logging.getLogger().setLevel(LEVELS[min(count, len(LEVELS) - 1)])


class _Shown(logging.Formatter):
    """Leaves out of messages what would steer a terminal; file names may hold it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return shown(super().formatMessage(record))


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write the log to standard error, and leave logging as it was found."""
    root = logging.getLogger()
    handler = logging.StreamHandler()
    handler.setFormatter(_Shown("%(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    set_verbosity(0)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextmanager
def muted(logger: str) -> Iterator[None]:
    """Keep a logger's warnings from standard error, where the output says the same.

    Parameters
    ----------
    logger : str
        Its name; what lies below it is muted, too.
    """
    found = logging.getLogger(logger)
    level = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(level)


def _discard_output() -> None:
    """Where standard output takes nothing more, keep Python from failing on it again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
