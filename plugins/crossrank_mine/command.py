"""Write hard negatives of a run, as a file to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import crossrank as cr
from crossrank.cli.kit import PATH, as_json, check_output, force, queries_and_gallery, write_json
from crossrank.cli.kit import command as crossrank_command
from crossrank.plugin.hookspecs import adds

if TYPE_CHECKING:
    from crossrank_mine.choosing import Mined

EXAMPLE = """crossrank mine filip.trec --queries queries --gallery gallery --qrels t2i.qrels \\
    --format triplet --relative-margin 0.05 -o triplets.jsonl"""
FORMATS = ("triplet", "n-tuple", "labeled-pair", "labeled-list")
"""Those of `crossrank_mine.columns`, which is long to import."""


@crossrank_command("mine", EXAMPLE)
@click.argument("run", type=PATH)
@queries_and_gallery
@click.option("--qrels", required=True, type=PATH, help="What is relevant, as TREC file.")
@click.option("--format", required=True, type=click.Choice(FORMATS), help="The columns.")
@click.option("-o", "--output", required=True, type=PATH, help="JSON lines, or NAME.parquet.")
@click.option("--negatives", type=int, default=3, show_default=True, help="How many of a query.")
@click.option(
    "--margin",
    "--absolute-margin",
    "absolute_margin",
    type=float,
    help="Leave out what scores more than the positive minus this: it may be relevant too.",
)
@click.option(
    "--relative-margin", type=float, help="Likewise, as a part of the positive's score: 0.05."
)
@click.option("--min-score", type=float, help="The lowest score of a negative.")
@click.option("--max-score", type=float, help="The highest score of a negative.")
@click.option("--range-min", type=int, default=0, show_default=True, help="Skip so many first.")
@click.option("--range-max", type=int, help="Take none from this place on.")
@click.option(
    "--sampling",
    type=click.Choice(["top", "random"]),
    default="top",
    show_default=True,
    help="The hardest, or any.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling.")
@click.option(
    "--scores/--no-scores",
    default=None,
    help="Write the run's scores: beside triplets and n-tuples, where it is the default, and "
    "instead of labels. A positive outside its list has none, and gives no row.",
)
@force
@as_json
def command(
    run: Path,
    queries: Path,
    gallery: Path,
    qrels: Path,
    format: str,
    output: Path,
    negatives: int,
    absolute_margin: float | None,
    relative_margin: float | None,
    min_score: float | None,
    max_score: float | None,
    range_min: int,
    range_max: int | None,
    sampling: str,
    seed: int,
    scores: bool | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write hard negatives of a run, whatever made it, in the columns of sentence-transformers.

    A hard negative is high in its list and not relevant by the qrels. Texts stand in the columns
    themselves, pictures by their paths, pictures with texts as {"image": …, "text": …}. What says
    the same as a positive under another id is no negative.
    """
    from crossrank.evaluation import read_qrels
    from crossrank_mine.choosing import Choice, mine
    from crossrank_mine.columns import rows
    from crossrank_mine.files import write_rows, written

    check_output(output, force=force)
    choice = Choice(
        negatives,
        absolute_margin,
        relative_margin,
        min_score,
        max_score,
        range_min,
        range_max,
        sampling,
        seed,
    )
    candidates, judged = cr.Candidates.from_trec(run), read_qrels(qrels)
    asked, searched = cr.Collection.open(queries), cr.Collection.open(gallery)
    known = set(searched.ids)
    relevant = [id for query in candidates.query_ids for id in judged.get(query, ()) if id in known]
    documents = written(searched, [*candidates.candidate_ids, *relevant])
    anchors = written(asked, candidates.query_ids)
    contents = {id: str(document) for id, document in documents.items()}
    mined = mine(candidates, judged, choice, contents=contents)
    made = rows(mined, format, anchors, documents, count=negatives, scores=scores)
    count = write_rows(output, made)
    if as_json:
        write_json({"output": str(output), "rows": count, **counts(mined, negatives)})
    else:
        click.echo(f"{output}: {summary(mined, count, negatives)}")


def counts(mined: Mined, negatives: int) -> dict[str, int]:
    """Return what came of it in numbers."""
    return {
        "queries": len(mined.queries),
        "negatives": sum(len(each.negatives) for each in mined.queries),
        "short": sum(len(each.negatives) < negatives for each in mined.queries),
        "unjudged": mined.unjudged,
        "too_close": mined.too_close,
        "twins": mined.twins,
        "unlisted": mined.unlisted,
    }


def summary(mined: Mined, count: int, negatives: int) -> str:
    """Say the same in a line; what is nought is not mentioned."""
    found = counts(mined, negatives)
    notes = {
        "short": f"queries have fewer than {negatives}",
        "unjudged": "queries have no relevant item and were left out",
        "too_close": "candidates were left out by margin or limits",
        "twins": "candidates say the same as a positive or a harder negative",
        "unlisted": "positives are outside their list and have no score",
    }
    said = [f"{found[name]:,} {note}" for name, note in notes.items() if found[name]]
    start = f"{count:,} rows, {found['negatives']:,} hard negatives of {found['queries']:,} queries"
    return "; ".join([start, *said])


crossrank_commands = adds(command)


__all__ = ["command", "crossrank_commands"]
