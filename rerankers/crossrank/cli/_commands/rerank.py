"""``crossrank rerank``: a run in, a better run out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from crossrank._engine.options import RunOptions
from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank._lists.rankings import Hit, Rankings, StageScores, Trace
from crossrank._pipeline import Pipeline
from crossrank.cli._files import check_output
from crossrank.cli._options import (
    PATH,
    as_json,
    crossrank_command,
    engine,
    force,
    progress,
    queries_and_gallery,
    resources,
    stages,
)
from crossrank.cli._outcome import muted
from crossrank.cli._stage_grammar import read_stage

EXAMPLE = """crossrank rerank --run base.trec --queries queries --gallery gallery \\
    --stage filip:depth=100,weight=0.5 -o filip.trec"""


@crossrank_command("rerank", EXAMPLE)
@click.option("--run", required=True, type=PATH, help="The run to rerank, in TREC format.")
@queries_and_gallery
@stages
@click.option("-o", "--output", type=PATH, help="The new run file; may be left out with --json.")
@click.option(
    "--out",
    "folder",
    type=PATH,
    help="A folder instead of a run file: finished blocks are kept there, so that a run that was "
    "stopped goes on with --resume; at the end it holds run.trec and rankings.safetensors.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the folder of --out.")
@click.option("--top-k", type=int, help="How many to keep per query; all by default.")
@click.option("--score-threshold", type=float, help="The lowest final score to keep, inclusive.")
@click.option(
    "--calibration",
    type=PATH,
    help="What crossrank calibrate made: hits get a probability, rankings a confidence.",
)
@click.option("--min-probability", type=float, help="The lowest probability to keep, inclusive.")
@click.option("--deadline", type=float, help="Seconds after which no further stage is begun.")
@click.option(
    "--deadline-per",
    type=click.Choice(["run", "query"]),
    default="run",
    show_default=True,
    help="Of the whole run, or times its queries.",
)
@engine
@resources
@force
@progress
@as_json
def command(
    run: Path,
    queries: Path,
    gallery: Path,
    stages: tuple[str, ...],
    output: Path | None,
    folder: Path | None,
    resume: bool,
    top_k: int | None,
    score_threshold: float | None,
    calibration: Path | None,
    min_probability: float | None,
    deadline: float | None,
    deadline_per: str,
    force: bool,
    progress: bool,
    as_json: bool,
    **computed: Any,
) -> None:
    """Rerank every list of a run through one or more stages.

    A stage is NAME:KEY=VALUE,… with depth (how many of each list it sees, or auto), fusion
    (weighted, the default, replace or rrf), weight, normalise and statistics (for weighted: none,
    zscore, minmax, softmax, rank; row, run or a calibration's file), k (for rrf), and whatever else
    as a parameter of the reranker. Values are typed as in TOML; words need no quotes.

    OUTPUT appears when it is complete; an existing file needs --force. With --json the hits go to
    standard output with base score, base rank and every stage's score, one query a line.
    """
    context = click.get_current_context()
    if output is None and folder is None and not as_json:
        raise click.UsageError(
            "Missing option '-o' / '--output' (or '--out'); only --json does without.", context
        )
    if resume and folder is None:
        raise click.UsageError("--resume goes on with a folder; name it with --out.", context)
    if output is not None:
        check_output(output, force=force)
    if deadline is not None and folder is not None:
        raise click.UsageError(
            "--deadline makes results that depend on the clock; --out keeps none such.", context
        )
    if min_probability is not None and calibration is None:
        raise click.UsageError(
            "--min-probability needs the file of crossrank calibrate; give it as --calibration.",
            context,
        )
    pipeline = Pipeline([read_stage(text) for text in stages], calibration=calibration)
    candidates = Candidates.from_trec(run)
    sides = Collection.open(queries), Collection.open(gallery)
    options = RunOptions(progress=progress, **computed)
    cuts: dict[str, Any] = {
        "top_k": top_k,
        "score_threshold": score_threshold,
        "min_probability": min_probability,
    }
    if folder is None:
        cuts |= {"deadline": deadline, "deadline_per": deadline_per}
        rankings = pipeline.rerank(candidates, *sides, options=options, **cuts)
    else:
        with muted("crossrank._pipeline"):
            try:
                rankings = pipeline.rerank_to(
                    folder, candidates, *sides, resume=resume, options=options, **cuts
                )
            except KeyboardInterrupt as error:
                again = f"the same command with --out {folder} --resume goes on"
                raise click.Abort(again) from error
        rankings.to_trec(folder / "run.trec")
    if output is not None:
        rankings.to_trec(output)
    if as_json:
        for line in json_document(rankings, pipeline.transductive):
            click.echo(line)
    else:
        click.echo(f"{folder or output}: {summary(rankings, pipeline.transductive)}")


def summary(rankings: Rankings, transductive: bool = False) -> str:
    """Say in a line what came of a run."""
    first = rankings.base_ranks[:, :1][rankings.mask[:, :1]]
    stages = " → ".join(stage.name for stage in rankings.stages)
    return (
        f"{len(rankings)} lists reranked by {stages} ({rankings.direction}); "
        f"{(first != 1).sum()} of {len(first)} have another candidate in first place"
        + "".join(
            f"; {each['stage']} abstained on {each['pairs']:,} pairs, "
            f"all of {each['lists']:,} lists"
            for each, stage in zip(abstentions(rankings), rankings.stages, strict=True)
            if each["pairs"] and not was_skipped(stage)
        )
        + "".join(
            f"; {stage.name} was {stage.reasons[0]}"
            for stage in rankings.stages
            if was_skipped(stage)
        )
        + ("; looks at the other queries" if transductive else "")
    )


def was_skipped(stage: StageScores) -> bool:
    """Return whether a stage was not run at all."""
    return bool(stage.reasons) and all(each.startswith("skipped:") for each in stage.reasons)


def abstentions(rankings: Rankings) -> list[dict[str, Any]]:
    """Count per stage the pairs it saw and did not score, and the lists of which it scored none."""
    found = []
    for stage in rankings.stages:
        silent = stage.seen & np.isnan(stage.raw)
        lists = silent.any(axis=1) & ~(stage.seen & ~np.isnan(stage.raw)).any(axis=1)
        found.append({"stage": stage.name, "pairs": int(silent.sum()), "lists": int(lists.sum())})
    return found


def json_document(rankings: Rankings, transductive: bool = False) -> Iterator[str]:
    """Yield the lines of one JSON document: a head, then one query a line."""
    head = {
        "direction": rankings.direction,
        "stages": [stage.name for stage in rankings.stages],
        "abstained": abstentions(rankings),
        "looks_at_other_queries": transductive,
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "queries": ['
    for number, (query, ranking) in enumerate(rankings.items(), 1):
        record: dict[str, Any] = {"id": query, "hits": list(ranking)}
        if ranking.confidence is not None:
            record["confidence"] = ranking.confidence
        comma = "," if number < len(rankings) else ""
        yield json.dumps(record, default=_fields, ensure_ascii=False, allow_nan=False) + comma
    yield "]}"


def _fields(record: Hit | Trace) -> dict[str, Any]:
    """Return a hit or trace as a dict; ``asdict`` would copy everything and take thrice as long."""
    return {name: getattr(record, name) for name in record.__slots__}
