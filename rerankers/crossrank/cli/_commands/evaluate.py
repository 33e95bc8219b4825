"""``crossrank evaluate``: runs side by side, in one direction or in both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import click

from crossrank._files.trec import read_qrels
from crossrank.cli._named_runs import by_name, divided, read_named
from crossrank.cli._options import PATH, as_json, crossrank_command
from crossrank.cli._outcome import muted
from crossrank.cli._printing import write_json
from crossrank.errors import InputError
from crossrank.evaluation import BothDirections, Evaluation, evaluate

METRICS = "R@1,R@5,R@10,MedR,MeanR,MRR"
DIRECTIONS = [f"{query}2{candidate}" for query, candidate in product(("t", "i", "it"), repeat=2)]

EXAMPLE = """crossrank evaluate base=base.trec filip=filip.trec --qrels t2i.qrels --direction t2i
crossrank evaluate base=base_t2i.trec base=base_i2t.trec --qrels t2i.qrels --direction t2i \\
    --qrels i2t.qrels --direction i2t"""


@crossrank_command("evaluate", EXAMPLE)
@click.argument("runs", nargs=-1, required=True, metavar="NAME=RUN…")
@click.option("--qrels", required=True, multiple=True, type=PATH, help="Judgements, as TREC file.")
@click.option(
    "--direction",
    "directions",
    multiple=True,
    type=click.Choice(DIRECTIONS),
    help="What the qrels before or after it are about; give both twice for both directions.",
)
@click.option("--metrics", default=METRICS, show_default=True, help="R@K, MedR, MeanR, MRR, …")
@click.option("--baseline", metavar="NAME", help="What gains are over; the first by default.")
@click.option("--resamples", type=int, default=9999, show_default=True, help="0 for no tests.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resampling.")
@click.option("--markdown", is_flag=True, help="Write tables in Markdown.")
@as_json
def command(
    runs: tuple[str, ...],
    qrels: tuple[Path, ...],
    directions: tuple[str, ...],
    metrics: str,
    baseline: str | None,
    resamples: int,
    seed: int,
    markdown: bool,
    as_json: bool,
) -> None:
    """Measure runs against relevance judgements, with each one's gain over the baseline.

    Gains come with a 95 % bootstrap interval and the p-value of a paired randomisation test;
    captions of one image are swapped and drawn together. R@K is the cross-modal one: a query
    counts when any of its relevant items is among the first K. Names of ir-measures are as
    ir-measures defines them (its recall is ir:R@K).

    With --qrels and --direction given twice each run goes to the qrels that know its queries, and
    RSUM is printed; the runs of one system share its name.
    """
    if markdown and as_json:
        raise click.UsageError("Give --json or --markdown.", click.get_current_context())
    if len(directions) != len(qrels) and (len(qrels) > 1 or directions):
        raise click.UsageError(
            f"{len(qrels)} --qrels and {len(directions)} --direction; give one for each.",
            click.get_current_context(),
        )
    if len(qrels) > 1 and sorted(directions) != ["i2t", "t2i"]:
        raise click.UsageError(
            "Two --qrels are for the two directions t2i and i2t.", click.get_current_context()
        )
    named = [read_named(text) for text in runs]
    judged = [read_qrels(path) for path in qrels]
    names = measure_names(metrics, both=len(qrels) > 1)
    found: list[Evaluation] = []
    for number, members in enumerate(divided(named, judged, qrels)):
        systems = by_name(members, qrels[number])
        with muted("crossrank.evaluation"):
            evaluation = evaluate(
                systems, judged[number], names, baseline=baseline, resamples=resamples, seed=seed
            )
        found.append(replace(evaluation, direction=directions[number] if directions else None))
    result = found[0] if len(found) == 1 else _both(found)
    if as_json:
        write_json(result.to_dict())
    else:
        click.echo(result.to_markdown() if markdown else str(result))


def measure_names(text: str, *, both: bool) -> list[str]:
    """Split the names of measures at commas outside parentheses; RSUM needs both directions."""
    names = [name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip()]
    if "RSUM" in names and not both:
        raise InputError("RSUM sums over both directions; give --qrels and --direction twice")
    return [name for name in names if name != "RSUM"]


def _both(found: Sequence[Evaluation]) -> BothDirections:
    sides = {str(each.direction): each for each in found}
    return BothDirections(sides["t2i"], sides["i2t"])
