"""``crossrank fuse``: a learned rule for the scores of all stages."""

from __future__ import annotations

from pathlib import Path

import click

import crossrank as cr
from crossrank.cli.kit import PATH, as_json, check_output, force, write_json
from crossrank.cli.kit import command as crossrank_command
from crossrank.plugin.hookspecs import adds

RANKINGS = "rankings.safetensors"
METHODS = ("weights", "lambdamart")
EXAMPLE = """crossrank fuse val --qrels val.qrels -o fusion.json \\
    --test test --test-qrels test.qrels --run fused.trec"""


@crossrank_command("fuse", EXAMPLE)
@click.argument("results", type=PATH)
@click.option("--qrels", required=True, type=PATH, help="What is relevant, in TREC format.")
@click.option("-o", "--output", required=True, type=PATH, help="The rule, as JSON.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(METHODS),
    default=["weights"],
    show_default=True,
    help="Weights of a sum by coordinate search, or LambdaMART; of several the last is written.",
)
@click.option("--test", type=PATH, help="Results of another split, to measure it on.")
@click.option("--test-qrels", type=PATH, help="What is relevant there.")
@click.option("--run", "run_file", type=PATH, help="The test results in the new order, as a run.")
@click.option("--folds", type=int, default=5, show_default=True, help="Of cross-fitted figures.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of these folds.")
@force
@as_json
def command(
    results: Path,
    qrels: Path,
    output: Path,
    methods: tuple[str, ...],
    test: Path | None,
    test_qrels: Path | None,
    run_file: Path | None,
    folds: int,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Fit one rule for the scores of all stages on judged results.

    RESULTS is the folder of crossrank rerank --out, or its rankings.safetensors. The table holds
    the results as they were (a weighted sum, mostly) and in the order of each rule, cross-fitted:
    each query by a rule that was fitted without it; with --test and --test-qrels on another split.
    """
    from crossrank_fuse.fitting import cross_fitted, fit

    if (test is None) != (test_qrels is None) or (run_file is not None and test is None):
        raise click.UsageError(
            "--test and --test-qrels go together, and --run needs both.",
            click.get_current_context(),
        )
    check_output(output, force=force)
    if run_file is not None:
        check_output(run_file, force=force)
    rankings = read_results(results)
    rules = {method: fit(rankings, qrels, method) for method in methods}
    systems = {"as it was": rankings.to_run()}
    for method in methods:
        crossed = cross_fitted(rankings, qrels, method, folds=folds, seed=seed)
        systems[method] = crossed.to_run()
    tables = {"cross-fitted": cr.evaluate(systems, qrels, direction=rankings.direction)}
    if test is not None and test_qrels is not None:
        others = read_results(test)
        fused = {method: rule.apply(others) for method, rule in rules.items()}
        runs = {"as it was": others.to_run(), **{n: each.to_run() for n, each in fused.items()}}
        tables["test"] = cr.evaluate(runs, test_qrels, direction=others.direction)
        if run_file is not None:
            fused[methods[-1]].to_trec(run_file)
    rule = rules[methods[-1]]
    rule.save(output)
    if as_json:
        found = {name: dict(zip(each.names, each.weights, strict=False))
                 for name, each in rules.items()}  # fmt: skip
        write_json({"weights": found, **{name: each.to_dict() for name, each in tables.items()}})
        return
    for name, each in tables.items():
        click.echo(f"{name}\n{each}\n")
    if rule.weights:
        weights = ", ".join(f"{n} {w:g}" for n, w in zip(rule.names, rule.weights, strict=True))
        click.echo(f"weights: {weights}")
    click.echo(f"{output}: {rule.method}")


def read_results(path: Path) -> cr.Rankings:
    """Return the rankings of a folder or file."""
    return cr.Rankings.open(path / RANKINGS if path.is_dir() else path)


crossrank_commands = adds(command)
