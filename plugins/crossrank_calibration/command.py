"""``crossrank calibrate``: judged results in, a calibration out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import crossrank as cr
from crossrank.cli.kit import PATH, as_json, check_output, force, table, write_json
from crossrank.cli.kit import command as crossrank_command
from crossrank.plugin.hookspecs import adds

RANKINGS = "rankings.safetensors"
EXAMPLE = """crossrank calibrate val --qrels val.qrels -o filip.json \\
    --test test --test-qrels test.qrels --report filip.html
crossrank rerank --stage filip --calibration filip.json --min-probability 0.5 …"""


@crossrank_command("calibrate", EXAMPLE)
@click.argument("run", type=PATH)
@click.option("--qrels", required=True, type=PATH, help="What is relevant, in TREC format.")
@click.option("-o", "--output", required=True, type=PATH, help="The calibration, as JSON.")
@click.option(
    "--method",
    type=click.Choice(["platt", "isotonic", "beta"]),
    default="platt",
    show_default=True,
    help="Platt: a sigmoid; beta: a skewed one; isotonic: whatever rises, for thousands of pairs.",
)
@click.option("--test", type=PATH, help="Results of another split, to measure it on.")
@click.option("--test-qrels", type=PATH, help="What is relevant there.")
@click.option("--report", type=PATH, help="A page with reliability diagrams.")
@click.option("--folds", type=int, default=5, show_default=True, help="Of the cross-fitted report.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of these folds.")
@force
@as_json
def command(
    run: Path,
    qrels: Path,
    output: Path,
    method: str,
    test: Path | None,
    test_qrels: Path | None,
    report: Path | None,
    folds: int,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Fit probabilities to the scores of judged results.

    RUN is a run file in TREC format, rankings.safetensors, or the folder of crossrank rerank --out;
    only the last two know their stages, and give the statistics of fusion that
    --stage NAME:statistics=FILE reads.

    The expected calibration error before and after is cross-fitted: each query is measured with
    what was fitted without it. With --test and --test-qrels it is measured on another split too.
    """
    from crossrank_calibration.calibrating import calibrate, measured
    from crossrank_calibration.page import write_page

    if (test is None) != (test_qrels is None):
        raise click.UsageError("--test and --test-qrels go together.", click.get_current_context())
    check_output(output, force=force)
    if report is not None:
        check_output(report, force=force)
    calibration = calibrate(read_results(run), qrels, method, folds=folds, seed=seed)
    reports: dict[str, Any] = {"cross-fitted": dict(calibration.report)}
    if test is not None and test_qrels is not None:
        reports["test"] = measured(calibration, read_results(test), test_qrels)
    calibration.save(output)
    if report is not None:
        write_page(report, calibration, reports)
    if as_json:
        write_json({"output": str(output), "method": method, **reports})
    else:
        click.echo(summary(reports))
        click.echo(f"\n{output}: {method} on {calibration.report['pairs']:,} pairs")


def read_results(path: Path) -> cr.Rankings | Path:
    """Return rankings where a path holds them, else the path of a run file."""
    if path.is_dir():
        return cr.Rankings.open(path / RANKINGS)
    return cr.Rankings.open(path) if path.suffix == ".safetensors" else path


def summary(reports: dict[str, Any]) -> str:
    """Return the reports as a table."""
    rows = []
    for split, report in reports.items():
        for name, title in (("ece", "ECE"), ("ece_first", "ECE of first hits"), ("brier", "Brier")):
            before, after = report[name]["before"], report[name]["after"]
            rows.append([split, title, f"{before:.4f}", f"{after:.4f}"])
        for name, value in report["nauc"].items():
            shown = "-" if value is None else f"{value:.3f}"
            rows.append([split, f"nAUC of confidence by {name}", "", shown])
    return table(["split", "", "before", "after"], rows)


crossrank_commands = adds(command)
