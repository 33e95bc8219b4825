"""Hold two results of ablate against each other."""

from __future__ import annotations

from pathlib import Path

import click

from crossrank.cli._options import PATH, as_json, crossrank_command
from crossrank.cli._printing import write_json
from crossrank.plugin.hookspecs import adds

EXAMPLE = "crossrank compare before/result.json after/result.json"


@crossrank_command("compare", EXAMPLE)
@click.argument("first", type=PATH, metavar="A.json")
@click.argument("second", type=PATH, metavar="B.json")
@click.option("--markdown", is_flag=True, help="Write the table in Markdown.")
@as_json
def command(first: Path, second: Path, markdown: bool, as_json: bool) -> None:
    """Hold the cells of two results against each other, with tests over the same queries.

    A folder stands for the result.json in it. What the two were made with is told where it differs.
    """
    if markdown and as_json:
        raise click.UsageError("Give --json or --markdown.", click.get_current_context())
    from crossrank_ablation import AblationResult, compare_results

    one, other = (
        AblationResult.open(path / "result.json" if path.is_dir() else path)
        for path in (first, second)
    )
    found = compare_results(one, other)
    if as_json:
        write_json(found.to_dict())
    else:
        click.echo(found.to_markdown() if markdown else str(found))


crossrank_commands = adds(command)
