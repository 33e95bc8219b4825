"""Run published tables again, with ours beside the published figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crossrank.cli.kit import PATH, as_json, command, progress, table, write_json
from crossrank.errors import InputError
from crossrank.plugin.hookspecs import adds
from crossrank_reproduce.tables import read_table, table_names

EXAMPLE = """crossrank reproduce --list
crossrank reproduce mobileclip --data data --weights weights --dry-run
crossrank reproduce mobileclip/coco-s1 --data data --weights weights -o out"""


@command("reproduce", EXAMPLE)
@click.argument("name", metavar="TABLE", required=False)
@click.option("--list", "listed", is_flag=True, help="Show tables, rows and published figures.")
@click.option("--data", type=PATH, help="The folder of data sets; see --dry-run.")
@click.option("--weights", type=PATH, help="The folder of checkpoints; DATA/weights by default.")
@click.option("--dry-run", is_flag=True, help="Say what is needed, there, and would be run.")
@click.option("-o", "--output", type=PATH, help="Keep features and result.json; go on from them.")
@click.option("--device", default="cpu", show_default=True, help="Where torch computes.")
@click.option("--check/--no-check", default=True, help="Refuse files of another size or digest.")
@progress
@as_json
def reproduce_command(
    name: str | None,
    listed: bool,
    data: Path | None,
    weights: Path | None,
    dry_run: bool,
    output: Path | None,
    device: str,
    check: bool,
    progress: bool,
    as_json: bool,
) -> None:
    """Run a published table again, and show ours beside the published figures.

    TABLE is one of --list, or TABLE/ROW for one of its rows. Rows whose files are missing are left
    out, with what to download; --dry-run shows all of it, and what in the protocol moves figures.
    """
    if listed:
        _list(table_names() if name is None else (name,), as_json)
        return
    if name is None:
        raise InputError(
            f"reproduce: give a table ({', '.join(table_names())}) or TABLE/ROW, or --list"
        )
    if dry_run:
        _plan(name, Path("DATA") if data is None else data, weights, as_json)
        return
    read_table(name)
    if data is None:
        raise InputError(f"reproduce: give --data DIR; 'crossrank reproduce {name} --dry-run' says "
                         "what belongs there")  # fmt: skip
    from crossrank_reproduce.run import reproduce

    outcome = reproduce(
        name,
        data,
        weights=weights,
        out=output,
        device=device,
        check=check,
        progress=progress,
    )
    if as_json:
        write_json(outcome.to_dict())
        return
    rows = [
        [
            each.row,
            each.system,
            each.direction,
            each.measure,
            _number(each.direction, each.ours),
            _number(each.direction, each.published),
            _number(each.direction, each.difference, "+"),
        ]
        for each in outcome.figures
    ]
    head = ["row", "system", "direction", "measure", "ours", "published", "difference"]
    click.echo(table(head, rows, right=range(4, 7)))
    for row, notes in outcome.notes.items():
        for note in notes:
            click.echo(f"{row}: {note}")
    for row, why in outcome.left_out.items():
        click.echo(f"{row}: not run; {why}")


def _list(names: tuple[str, ...], as_json: bool) -> None:
    tables = [read_table(name) for name in names]
    if as_json:
        entries = [
            {
                "row": row.name,
                "system": row.system,
                "paper": each.paper,
                "dataset": row.dataset.get("name"),
                "published": row.published,
            }
            for each in tables
            for row in each.rows
        ]
        write_json({"rows": entries})
        return
    rows = [
        [row.name, row.system, row.dataset.get("name", ""), _published(row.published)]
        for each in tables
        for row in each.rows
    ]
    click.echo(table(["row", "system", "data", "published"], rows))


def _plan(name: str, data: Path, weights: Path | None, as_json: bool) -> None:
    from crossrank_reproduce.planning import plan

    plans = plan(name, data, weights)
    if as_json:
        write_json({"rows": plans})
        return
    for each in plans:
        click.echo(f"{each['row']}: {each['system']}")
        for need in each["needs"]:
            click.echo(f"  needs {need['path']}: {need['said']}")
            if need["state"] == "missing":
                where = need["url"] or "not published"
                click.echo(f"    from {where}: {need['what']}")
        for number, step in enumerate(each["steps"], start=1):
            click.echo(f"  {number}. {step}")
        click.echo(f"  published: {_published(each['published'])}")
        for trap in each["traps"]:
            click.echo(f"  mind: {trap}")
        click.echo("  ready" if each["ready"] else "  not ready")
        click.echo()


def _published(published: Any) -> str:
    return "; ".join(
        f"{direction} " + ", ".join(f"{name} {value:g}" for name, value in measures.items())
        for direction, measures in published.items()
    )


def _number(direction: str, value: float, sign: str = "") -> str:
    return f"{value:{sign}.{4 if direction == 'similarity' else 2}f}"


crossrank_commands = adds(reproduce_command)
