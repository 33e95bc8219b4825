"""``crossrank plugins``: what is installed, and what of it does not load."""

from __future__ import annotations

from dataclasses import asdict

import click

from crossrank.cli._options import as_json, crossrank_command
from crossrank.cli._printing import table, write_json
from crossrank.plugin.registry import records


@crossrank_command("plugins", "crossrank plugins --json")
@as_json
def command(as_json: bool) -> None:
    """List rerankers, encoders and commands: name, distribution, and what they do.

    One that cannot be loaded is shown with its error and harms nothing else; the exit code stays 0.
    """
    found = records()
    if as_json:
        write_json([asdict(record) for record in found])
        return
    rows = [
        (
            record.kind,
            record.name,
            record.distribution,
            f"BROKEN: {' '.join(record.error.split())}" if record.error else record.summary,
        )
        for record in found
    ]
    click.echo(table(("kind", "name", "distribution", "summary"), rows))
