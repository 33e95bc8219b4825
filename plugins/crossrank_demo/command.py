"""Run everything once on photographs that are installed here."""

from __future__ import annotations

from pathlib import Path

import click

from crossrank.cli.kit import (
    PATH,
    as_json,
    check_output,
    folder_for_output,
    force,
    progress,
    write_json,
)
from crossrank.cli.kit import command as crossrank_command
from crossrank.plugin.hookspecs import adds

PAGE = "index.html"


@crossrank_command("demo", "crossrank demo -o crossrank-demo")
@click.option(
    "-o",
    "--output",
    default="crossrank-demo",
    show_default=True,
    type=PATH,
    help="The folder for the page; it is made if need be.",
)
@click.option("--encoder", default="lite", show_default=True, help="See 'crossrank plugins'.")
@click.option("--reranker", default="filip", show_default=True, help="See 'crossrank plugins'.")
@force
@progress
@as_json
def command(
    output: Path, encoder: str, reranker: str, force: bool, progress: bool, as_json: bool
) -> None:
    """Encode, search, rerank and explain photographs, and write one page that shows it.

    Prints what changed and where the page (index.html, self-contained) lies. An existing page needs
    --force.
    """
    from crossrank_demo import run_demo

    page = output / PAGE
    with folder_for_output(output):
        check_output(page, force=force)
        result = run_demo(page, encoder=encoder, reranker=reranker, progress=progress)
    if as_json:
        write_json({"page": str(result.page), "metrics": result.metrics.to_dict()})
    else:
        click.echo(result.table)
        click.echo(f"\nthe page: {result.page}")


crossrank_commands = adds(command)
