"""What commands of plugins are written with: options, output and its checks, as the built-in ones.

A command is a click command that the hook `crossrank_commands` adds to the group::

    from crossrank.cli.kit import PATH, as_json, command, write_json

    @command("mine", "crossrank mine --gallery photos/")
    @click.option("--gallery", required=True, type=PATH, help="The collection that is searched.")
    @as_json
    def mine(gallery: Path, as_json: bool) -> None:
        \"\"\"Say something about a collection.\"\"\"

Whatever it raises of `crossrank.errors` becomes one line on standard error and exit code 2.
"""

from crossrank._items.read_items import read_items
from crossrank._stage import stage_of
from crossrank._text import shown
from crossrank.cli._files import check_output, folder_for_output
from crossrank.cli._options import (
    PATH,
    as_json,
    common_options,
    force,
    progress,
    queries_and_gallery,
    resources,
    stages,
)
from crossrank.cli._options import crossrank_command as command
from crossrank.cli._outcome import FAILURE, muted
from crossrank.cli._printing import plain, table, write_json
from crossrank.cli._stage_grammar import read_stage
from crossrank.cli._values import read_parameters

__all__ = [
    "FAILURE",
    "PATH",
    "as_json",
    "check_output",
    "command",
    "common_options",
    "folder_for_output",
    "force",
    "muted",
    "plain",
    "progress",
    "queries_and_gallery",
    "read_items",
    "read_parameters",
    "read_stage",
    "resources",
    "shown",
    "stage_of",
    "stages",
    "table",
    "write_json",
]
