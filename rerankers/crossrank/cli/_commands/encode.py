"""``crossrank encode``: pictures or texts in, a collection folder out."""

from __future__ import annotations

import os
from pathlib import Path

import click

import crossrank as cr
from crossrank._encode.left import partial_of
from crossrank._files.atomic import refuse_existing
from crossrank._items.read_items import read_sources
from crossrank.cli._options import PATH, as_json, crossrank_command, progress
from crossrank.cli._printing import write_json
from crossrank.cli._values import read_parameters
from crossrank.plugin.encoders import as_encoder, with_device

EXAMPLE = """crossrank encode photos --encoder lite -o gallery
crossrank encode captions.jsonl --encoder lite --features embedding,tokens -o queries"""


@crossrank_command("encode", EXAMPLE)
@click.argument("sources", metavar="INPUT...", type=PATH, nargs=-1)
@click.option("--encoder", default="lite", show_default=True, help="See 'crossrank plugins'.")
@click.option("-o", "--output", type=PATH, help="A new folder for the collection.")
@click.option("--add-to", type=PATH, help="A collection that gets more --features, in place.")
@click.option("--append", is_flag=True, help="Append the items to the collection in OUTPUT.")
@click.option(
    "--reuse", is_flag=True, help="Keep an OUTPUT that holds the same; with --append, its items."
)
@click.option("--features", help="Names with commas between; by default the encoder's usual ones.")
@click.option(
    "--modality",
    type=click.Choice(["image", "text", "image+text"]),
    help="Which side of items that have both.",
)
@click.option("--batch-size", type=int, help="Items at a time; by default as the encoder wishes.")
@click.option(
    "--store-dtype",
    "dtypes",
    multiple=True,
    metavar="FEATURE=DTYPE",
    help="Store as float32, float16, bfloat16 or int8, such as tokens=int8.",
)
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="For the encoder.")
@click.option(
    "--on-item",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    show_default=True,
    help="What cannot be encoded: stop, or leave it out and list it in OUTPUT.skipped.jsonl.",
)
@click.option("--device", help="Where the encoder computes, such as cuda.")
@click.option("--threads", type=int, help="Threads of numpy and torch; all cores by default.")
@progress
@as_json
def command(
    sources: tuple[Path, ...],
    encoder: str,
    output: Path | None,
    add_to: Path | None,
    append: bool,
    reuse: bool,
    features: str | None,
    modality: str | None,
    batch_size: int | None,
    dtypes: tuple[str, ...],
    params: tuple[str, ...],
    on_item: str,
    device: str | None,
    threads: int | None,
    progress: bool,
    as_json: bool,
) -> None:
    """Turn INPUT into a collection: a folder that appears when it is complete.

    An INPUT is a picture (the id is its path), a pattern such as 'photos/*.jpg', a folder of
    pictures (searched through; the id is the path within it, suffix included, white space written
    as %20), a .jsonl of {"id", "text"} or {"id", "image"} (relative to the file), or a .txt of one
    text a line (the id is the line's number, from 1).

    The same command goes on after a kill: what is finished lies in OUTPUT.partial.
    """
    if (output is None) == (add_to is None):
        raise click.UsageError("Give --output or --add-to.", click.get_current_context())
    if not sources and add_to is None:
        raise click.UsageError("Give an INPUT.", click.get_current_context())
    if output is not None and not (append or reuse or partial_of(output).is_dir()):
        refuse_existing(output)
    # threads that wait would otherwise spin, on a busy machine for most of the time
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    own = with_device(encoder, read_parameters(params, "--param"), device)
    maker = as_encoder(encoder, own)
    wanted = None if features is None else [name.strip() for name in features.split(",")]
    stored_as = read_parameters(dtypes, "--store-dtype")
    items = read_sources(sources) if sources else None
    try:
        made = cr.encode(
            maker,
            items,
            modality,
            wanted,
            output,
            batch_size=batch_size,
            store_dtype={name: str(dtype) for name, dtype in stored_as.items()},
            add_to=add_to,
            append=append,
            reuse=reuse,
            threads=threads,
            progress=progress,
            on_item=on_item,
        )
    except KeyboardInterrupt:
        raise click.Abort("run the same command again to go on from what is finished") from None
    if as_json:
        write_json(
            {
                "output": str(output or add_to),
                "count": len(made),
                "modality": made.modality,
                "encoder": made.encoder,
                "features": list(made.features),
            }
        )
    else:
        click.echo(
            f"{output or add_to}: {len(made)} {made.modality}s with {', '.join(made.features)}"
        )
