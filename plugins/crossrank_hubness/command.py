"""``crossrank hubness``: how hub-like a gallery is, before and after a second look."""

from __future__ import annotations

from pathlib import Path

import click

import crossrank as cr
from crossrank.cli.kit import PATH, as_json, check_output, force, progress, read_stage, write_json
from crossrank.cli.kit import command as crossrank_command
from crossrank.plugin.hookspecs import adds

EXAMPLE = """crossrank hubness --queries val/texts --gallery photos \\
    --stage nnn:bank=train/texts,k=32,fusion=replace -o hubs.html"""


@crossrank_command("hubness", EXAMPLE)
@click.option("--queries", required=True, type=PATH, help="The collection that asks.")
@click.option("--gallery", required=True, type=PATH, help="The collection that is searched.")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="What a second look is taken with, as for crossrank rerank; repeat it for several.",
)
@click.option("-k", "count", type=int, default=10, show_default=True, help="Nearest that count.")
@click.option(
    "--depth", type=int, help="Candidates that the stages see; the whole gallery by default."
)
@click.option("-o", "--output", type=PATH, help="A page with the ten worst hubs.")
@force
@progress
@as_json
def command(
    queries: Path,
    gallery: Path,
    stages: tuple[str, ...],
    count: int,
    depth: int | None,
    output: Path | None,
    force: bool,
    progress: bool,
    as_json: bool,
) -> None:
    """Say how hub-like a gallery is.

    An item's k-occurrence is the number of queries that find it among the first k. Where few items
    take most places its skewness is high, and many items are never found. With --stage the same is
    said after a correction; the ten worst hubs are named, and shown with their pictures in OUTPUT.
    """
    from crossrank_hubness.reporting import hub_report, write_page

    if output is not None:
        check_output(output, force=force)
    if depth is not None and depth < 1:
        raise click.UsageError(f"--depth is {depth}; give at least 1.", click.get_current_context())
    pipeline = cr.Pipeline([read_stage(text) for text in stages]) if stages else None
    sides = cr.Collection.open(queries), cr.Collection.open(gallery)
    report = hub_report(*sides, count, pipeline, depth, progress=progress)
    if output is not None:
        write_page(output, report)
    if as_json:
        write_json({"page": None if output is None else str(output), **report.to_dict()})
    else:
        click.echo(str(report))
        if output is not None:
            click.echo(f"\nthe page: {output}")


crossrank_commands = adds(command)
