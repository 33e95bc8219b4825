"""The command line: ``crossrank COMMAND``; each command lies in a module of its own.

Asking for help imports none of them, nor any plugin.
"""

import click

import crossrank
from crossrank.cli._group import LazyGroup
from crossrank.cli._options import common_options

COMMANDS = {
    "plugins": ("crossrank.cli._commands.plugins", "List rerankers, encoders and commands."),
    "encode": ("crossrank.cli._commands.encode", "Turn pictures or texts into a collection."),
    "search": (
        "crossrank.cli._commands.search",
        "Find the candidates of every query: the base run.",
    ),
    "rerank": ("crossrank.cli._commands.rerank", "Rerank a run through one or more stages."),
    "evaluate": (
        "crossrank.cli._commands.evaluate",
        "Compare runs with relevance judgements, side by side.",
    ),
    "explain": (
        "crossrank.cli._commands.explain",
        "Show what speaks for a candidate, word by word.",
    ),
}
"""Name, module and summary of each built-in command."""

HELP = """A second look at image–text retrieval.

Encode pictures and texts, search, rerank the candidates through plugins, measure the gain.
Bad input ends with exit code 2 and one line on standard error.
"""

main = common_options(LazyGroup("crossrank", COMMANDS, help=HELP))
click.version_option(crossrank.__version__, prog_name="crossrank")(main)

__all__ = ["main"]
