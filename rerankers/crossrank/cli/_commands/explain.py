"""``crossrank explain``: what speaks for a candidate, word by word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from crossrank._checking import check_count
from crossrank._engine.options import RunOptions
from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank._lists.evidence import Evidence, Link
from crossrank._pipeline import Pipeline
from crossrank._text import shown
from crossrank.cli._options import (
    PATH,
    as_json,
    crossrank_command,
    queries_and_gallery,
    resources,
    stages,
)
from crossrank.cli._printing import table, write_json
from crossrank.cli._stage_grammar import read_stage
from crossrank.errors import InputError, UnknownIdError, nearest
from crossrank.report import Box, Hints, hints_of, prompt

EXAMPLE = """crossrank explain --queries queries --gallery gallery --query 17 --stage filip \\
    --run filip.trec --top 3"""


@crossrank_command("explain", EXAMPLE)
@queries_and_gallery
@click.option("--query", required=True, help="The query's id.")
@click.option("--candidate", "candidates", multiple=True, help="A candidate's id; may be repeated.")
@click.option("--run", type=PATH, help="Take the candidates from the top of this run.")
@click.option("--top", type=int, default=3, show_default=True, help="How many, with --run.")
@click.option(
    "--keywords", is_flag=True, help="Also keywords of each picture, and a prompt made of them."
)
@stages
@resources
@as_json
def command(
    queries: Path,
    gallery: Path,
    query: str,
    candidates: tuple[str, ...],
    run: Path | None,
    top: int,
    keywords: bool,
    stages: tuple[str, ...],
    as_json: bool,
    **computed: Any,
) -> None:
    """Show, per candidate of one query, which of its parts speak for which part of the query.

    Boxes are x0 y0 x1 y1 in [0, 1] of the original picture; the weight is in the reranker's own
    units.  With --keywords, the words and the parts that lead in each picture, gathered over the
    candidates, with their points, and a prompt text for a generator of descriptions.
    """
    if bool(candidates) == (run is not None):
        raise click.UsageError(
            "Give either --candidate or --run, to say which candidates.",
            click.get_current_context(),
        )
    pipeline = Pipeline([read_stage(text) for text in stages])
    asked, searched = Collection.open(queries), Collection.open(gallery)
    row = asked.row(query)
    chosen = candidates if run is None else top_of_run(run, query, top)
    found = pipeline.explain(asked, searched, query, chosen, options=RunOptions(**computed))
    if not any(found.values()):
        raise InputError(f"{', '.join(found)} explains nothing: it gives scores without evidence")
    hints = {name: hints_of(evidence) for name, evidence in found.items()} if keywords else {}
    if keywords and not any(hints.values()):
        raise InputError(
            f"{', '.join(found)} gives no keywords; explain with a stage that does, adamatch"
        )
    if as_json:
        record: dict[str, Any] = {
            "query": query,
            "stages": {
                name: [each.to_dict() for each in evidence] for name, evidence in found.items()
            },
        }
        if keywords:
            record["hints"] = {
                name: [asdict(each) | {"prompt": prompt(each)} for each in gathered]
                for name, gathered in hints.items()
            }
        write_json(record)
    else:
        text = asked["text"][row] if "text" in asked else None
        click.echo(shown(f"query {query}" + ("" if text is None else f": {text}")))
        click.echo(report(found))
        for name, gathered in hints.items():
            for each in gathered:
                click.echo(hinted(name, each))


def top_of_run(run: Path, query: str, top: int) -> list[str]:
    """Return the ids of a query's first candidates in a run."""
    check_count("explain", "top", top)
    candidates = Candidates.from_trec(run)
    if query not in candidates.query_ids:
        hint = nearest(query, candidates.query_ids[:1000])
        raise UnknownIdError(f"{run} has no query {query!r}{hint}")
    row = candidates.query_ids.index(query)
    return [candidates.candidate_ids[index] for index, _ in candidates.to_lists()[row][:top]]


def report(found: Mapping[str, Sequence[Evidence]]) -> str:
    """Return the evidence as text: one table per stage and candidate."""
    parts = []
    for stage, evidence in found.items():
        for each in evidence:
            title = "\n" + shown(f"{each.candidate_id}  {stage} {each.score:.4f}")
            rows = [_row(link) for link in each.links]
            header = ("query part", "candidate part", "box", "weight")
            parts.append(title + "\n" + (table(header, rows, right=[3]) if rows else "no links"))
    return "\n".join(parts)


def hinted(stage: str, hints: Hints) -> str:
    """Return the keywords and key patches of a picture as text, then the prompt."""
    rows = [
        (kind, hint.word, _corners(hint.box), f"{hint.points:g}")
        for kind, some in (("keyword", hints.keywords), ("part", hints.key_patches))
        for hint in some
    ]
    listed = table(("", "word", "box", "points"), rows, right=[3])
    asked = "\n".join(map(shown, prompt(hints).split("\n")))
    return f"\n{shown(hints.picture)}  {stage} keywords\n{listed}\n\n{asked}"


def _row(link: Link) -> tuple[str, str, str, str]:
    box = link.candidate_box if link.candidate_box is not None else link.query_box
    return link.query, link.candidate, _corners(box), f"{link.weight:.4f}"


def _corners(box: Box | None) -> str:
    return "" if box is None else " ".join(f"{side:.2f}" for side in box)
