"""The command ``crossrank graphs``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crossrank.cli.kit import (
    PATH,
    as_json,
    check_output,
    command,
    common_options,
    force,
    write_json,
)
from crossrank.errors import InputError
from crossrank.plugin.files import atomic_bytes, read_json_lines
from crossrank.plugin.hookspecs import adds

if TYPE_CHECKING:
    from crossrank_graphs.graph import Graph
    from crossrank_graphs.parsing import GraphParser


@click.group()
def graphs() -> None:
    """Look at scene graphs of texts."""


common_options(graphs)


@command("show", 'crossrank graphs show "a man in a red shirt rides a horse" -o graphs.html')
@click.argument("texts", nargs=-1)
@click.option(
    "--file",
    type=PATH,
    help="Texts, one a line; or JSON lines, of which 'text' or 'captions' count.",
)
@click.option(
    "--graphs",
    "made",
    type=PATH,
    help="Graphs made before (CORA's JSON, or Graph.to_dict), by text.",
)
@click.option("-o", "--output", type=PATH, help="A page that draws them.")
@force
@as_json
def show(
    texts: tuple[str, ...],
    file: Path | None,
    made: Path | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Parse texts and write their scene graphs, as tuples, as JSON, or drawn on a page."""
    from crossrank_graphs.parsing import parse
    from crossrank_graphs.precomputed import PrecomputedGraphs
    from crossrank_graphs.tuples import tuples_of

    sentences = [*texts, *([] if file is None else _lines(file))]
    if not sentences:
        raise InputError("graphs show: there is no text; give some, or --file")
    if output is not None:
        check_output(output, force=force)
    parser: GraphParser | None = None if made is None else PrecomputedGraphs.open(made)
    found = parse(sentences, parser)
    if output is not None:
        atomic_bytes(output, page_of(found).encode())
    if as_json:
        write_json([graph.to_dict() for graph in found])
    elif output is None:
        for graph in found:
            click.echo(f"{graph.text}\n  {tuples_of(graph) or '(names nothing)'}")
    else:
        click.echo(f"{len(found):,} graphs: {output}")


graphs.add_command(show)


def page_of(found: list[Graph]) -> str:
    """Return a page that draws graphs, HTML that holds everything it shows."""
    from crossrank.report import page_template
    from crossrank_graphs.drawing import draw
    from crossrank_graphs.tuples import tuples_of

    template = page_template(
        "crossrank_graphs", "graphs.html", extra="graphs", purpose="the page of graphs"
    )
    return template.render(graphs=[(graph, draw(graph)) for graph in found], tuples=tuples_of)


def _lines(path: Path) -> list[str]:
    """Return the texts of a file."""
    if path.suffix != ".jsonl":
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"graphs show: {path} cannot be read as text: {error}") from error
        return [line for line in lines if line.strip()]
    found: list[str] = []
    for number, entry in read_json_lines(path):
        several = entry.get("captions", entry.get("text")) if isinstance(entry, dict) else entry
        several = [several] if isinstance(several, str) else several
        if not isinstance(several, list) or not all(isinstance(text, str) for text in several):
            raise InputError(
                f"graphs show: line {number} of {path} has no 'text' and no 'captions'"
            )
        found += several
    return found


crossrank_commands = adds(graphs)
