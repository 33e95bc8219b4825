"""Ask a benchmark of compositions which caption belongs to which picture."""

from __future__ import annotations

from pathlib import Path

import click

from crossrank.cli.kit import PATH, as_json, command, force, progress, read_stage, table, write_json
from crossrank.errors import InputError
from crossrank.plugin.hookspecs import adds


@command(
    "bench",
    "crossrank bench sugarcrepe --data sugarcrepe/ --images val2017/ --pipeline filip:weight=1.25 "
    "--pipeline graph -o out",
)
@click.argument("name")
@click.option("--data", required=True, type=PATH, help="The folder of the benchmark's files.")
@click.option(
    "--images", multiple=True, type=PATH, help="Where its pictures lie; --data is searched too."
)
@click.option(
    "--pipeline",
    "--stage",
    "pipeline",
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="A reranker as in 'crossrank rerank --stage'; several by repeating it or between blanks; "
    "without one only the cosine of embeddings is asked.",
)
@click.option("--encoder", default="lite", show_default=True, help="See 'crossrank plugins'.")
@click.option(
    "--scores", type=PATH, help="Scores that something else computed (.npy, .npz per category)."
)
@click.option(
    "--direction",
    type=click.Choice(["t2i", "i2t"]),
    default="t2i",
    show_default=True,
    help="Which side asks, for rerankers that score a pair differently.",
)
@click.option(
    "--plugin-cache", "cache_folder", type=PATH, help="Where rerankers may keep what they prepared."
)
@click.option("-o", "--output", type=PATH, help="A folder for a page, figures and all cases.")
@force
@progress
@as_json
def bench_command(
    name: str,
    data: Path,
    images: tuple[Path, ...],
    pipeline: tuple[str, ...],
    encoder: str,
    scores: Path | None,
    direction: str,
    cache_folder: Path | None,
    output: Path | None,
    force: bool,
    progress: bool,
    as_json: bool,
) -> None:
    """Ask a benchmark of compositions which caption belongs to which picture.

    NAME is sugarcrepe, winoground, cola, cola-single, aro or orders. Ties are counted and never
    right; cases without their picture are skipped, counted and listed.
    """
    from crossrank_bench.run import bench

    stages = [read_stage(text) for each in pipeline for text in each.split()]
    if scores is not None and not scores.is_file():
        raise InputError(f"bench: {scores} is no file of scores; check --scores")
    result = bench(
        name,
        data,
        pipeline=stages or None,
        encoder=encoder,
        scores=scores,
        images=list(images),
        out=output,
        force=force,
        direction=direction,
        progress=progress,
        cache_folder=cache_folder,
    )
    if as_json:
        write_json(result.to_dict())
        return
    shown = [
        [
            row.category,
            row.measure,
            row.system,
            f"{row.items:,}",
            f"{row.value:.2f}",
            f"{row.low:.1f} … {row.high:.1f}",
            f"{row.ties:,}",
            "" if row.chance is None else f"{row.chance:.1f}",
            "" if row.gain is None else f"{row.gain:+.2f}",
            "" if row.p is None else f"{row.p:.4f}",
        ]
        for row in result.rows
    ]
    head = ["category", "measure", "system", "items", "%", "95 %", "ties", "chance", "gain", "p"]
    click.echo(table(head, shown, right=range(3, 10)))
    skipped = result.to_dict()["skipped"]
    if skipped["count"]:
        items = ", ".join(f"{each['id']} ({each['picture']})" for each in skipped["items"][:5])
        click.echo(f"\nskipped for want of a picture: {skipped['count']:,}, {items}", err=False)
    for note in result.benchmark.notes:
        click.echo(note)
    if output is not None:
        click.echo(f"\nthe page: {output / 'index.html'}")


crossrank_commands = adds(bench_command)
