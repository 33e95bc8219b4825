"""Run pipelines side by side, tested and shown."""

from __future__ import annotations

from pathlib import Path

import click

from crossrank._text import shown
from crossrank.cli._options import PATH, as_json, crossrank_command, progress
from crossrank.cli._outcome import FAILURE
from crossrank.cli._printing import write_json
from crossrank.plugin.hookspecs import adds

EXAMPLE = """crossrank ablate study.toml -o study
crossrank ablate --resume study"""


@crossrank_command("ablate", EXAMPLE)
@click.argument("config", required=False, type=PATH)
@click.option("-o", "--output", type=PATH, help="A new folder for tables, plots and the report.")
@click.option("--resume", type=PATH, help="Go on with the study in this folder.")
@click.option("--root", type=PATH, help="In place of the configuration's data.root.")
@click.option(
    "--score-cache",
    "--cache",
    "cache",
    type=PATH,
    help="Where raw scores are kept; see 'crossrank cache'.",
)
@click.option("--no-cache", is_flag=True, help="Keep no raw scores on disk.")
@click.option("--runs", is_flag=True, help="Write a run file per cell and direction.")
@click.option("--yes", is_flag=True, help="Run more than 1,000 runs without asking.")
@progress
@as_json
@click.pass_context
def command(
    context: click.Context,
    config: Path | None,
    output: Path | None,
    resume: Path | None,
    root: Path | None,
    cache: Path | None,
    no_cache: bool,
    runs: bool,
    yes: bool,
    progress: bool,
    as_json: bool,
) -> None:
    """Run pipelines and their variants side by side; test, draw and show what comes of it.

    CONFIG is a TOML file with the data, the stages and a grid; see docs/ablations.md. The folder
    gets result.json, table.txt, table.md, table.csv, table.tex, cost.csv, plots and report.html.
    Exit code 1 if a cell failed; the others are there.
    """
    if resume is not None and (config is not None or output is not None or root is not None):
        raise click.UsageError("--resume takes no configuration, -o or --root.", context)
    if resume is None and (config is None or output is None):
        raise click.UsageError("Give a configuration and -o, or --resume.", context)
    if cache is not None and no_cache:
        raise click.UsageError("Give --score-cache or --no-cache.", context)
    from crossrank_ablation import ablate

    result = ablate(
        config,
        output=output,
        resume=resume,
        root=root,
        cache=False if no_cache else True if cache is None else cache,
        runs=runs,
        yes=yes,
        progress=progress,
    )
    folder = resume if output is None else output
    if as_json:
        write_json(result.to_dict(per_query=False))
    else:
        click.echo(str(result))
        click.echo(f"{folder}/report.html")
    if result.failed:
        for cell in result.failed:
            said = f"crossrank: {cell.direction} {cell.name}: {cell.error}"
            click.echo(shown(said), err=True)
        context.exit(FAILURE)


crossrank_commands = adds(command)
