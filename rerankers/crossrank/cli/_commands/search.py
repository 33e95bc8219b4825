"""``crossrank search``: the embedded base matcher, from two collections to a run file."""

from __future__ import annotations

from pathlib import Path

import click

from crossrank._files.trec import write_run
from crossrank._items.collection import Collection
from crossrank._search.search import search
from crossrank.cli._files import check_output, check_run_ids
from crossrank.cli._options import (
    PATH,
    as_json,
    crossrank_command,
    force,
    progress,
    queries_and_gallery,
)
from crossrank.cli._printing import write_json

EXAMPLE = "crossrank search --queries queries --gallery gallery --depth 100 -o base.trec"


@crossrank_command("search", EXAMPLE)
@queries_and_gallery
@click.option("--depth", type=int, default=100, show_default=True, help="Candidates per query.")
@click.option("-o", "--output", required=True, type=PATH, help="The run file, in TREC format.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "numpy", "faiss"]),
    default="auto",
    show_default=True,
    help="All of them give the same run; auto takes faiss where it is installed.",
)
@force
@progress
@as_json
def command(
    queries: Path,
    gallery: Path,
    depth: int,
    output: Path,
    engine: str,
    force: bool,
    progress: bool,
    as_json: bool,
) -> None:
    """Find the nearest neighbours of every query by embedding: the base run to rerank.

    The search is exact. OUTPUT appears when it is complete; an existing file needs --force.
    """
    check_output(output, force=force)
    asked, searched = Collection.open(queries), Collection.open(gallery)
    check_run_ids(asked.ids, queries)
    check_run_ids(searched.ids, gallery)
    found = search(asked, searched, depth, engine=engine, progress=progress)
    write_run(output, found.to_run())
    if as_json:
        write_json(
            {
                "output": str(output),
                "direction": found.direction,
                "queries": len(found),
                "gallery": len(searched),
                "depth": found.depth,
            }
        )
    else:
        click.echo(
            f"{output}: {len(found)} queries, {found.depth} candidates each of {len(searched)}, "
            f"{found.direction}"
        )
