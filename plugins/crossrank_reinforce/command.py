"""Keep what teachers make of a data set, for students to be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

import crossrank as cr
from crossrank.cli.kit import PATH, as_json, command, progress, read_parameters, write_json
from crossrank.errors import FormatError, ParameterError
from crossrank.plugin.encoders import shared_encoder
from crossrank.plugin.files import read_json_lines
from crossrank.plugin.hookspecs import adds

EXAMPLE = """crossrank reinforce captions.jsonl --images images --split train \\
    --teacher lite --teacher clip:model=/models/clip --views 4 --variants 2 -o reinforced"""


@command("reinforce", EXAMPLE)
@click.argument("captions", type=PATH)
@click.option("--images", required=True, type=PATH, help="The folder of the pictures.")
@click.option("--split", help="Of the caption file; all of it by default.")
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    required=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="An encoder and its parameters; several by repeating it.",
)
@click.option("--views", default=2, show_default=True, help="Augmentations of each picture.")
@click.option("--variants", default=1, show_default=True, help="Wordings of each text, with it.")
@click.option("--given", type=PATH, help='Wordings somebody wrote: {"id": …, "texts": […]} a line.')
@click.option("--least", default=0.4, show_default=True, help="Least share of a picture in a crop.")
@click.option("--scale", "scales", multiple=True, type=float, help="Of each teacher; 100.")
@click.option("--seed", default=0, show_default=True, help="Of augmentations and variants.")
@click.option("-o", "--output", required=True, type=PATH, help="A new folder for the store.")
@progress
@as_json
def reinforce_command(
    captions: Path,
    images: Path,
    split: str | None,
    teachers: tuple[str, ...],
    views: int,
    variants: int,
    given: Path | None,
    least: float,
    scales: tuple[float, ...],
    seed: int,
    output: Path,
    progress: bool,
    as_json: bool,
) -> None:
    """Keep what teachers make of a data set's augmentations and variants, for students.

    CAPTIONS is a JSON file in Karpathy's layout, or JSON lines with "filename", "captions" and
    perhaps "split". Ids are names of files, of texts with # and a number. Killed at any moment, the
    same command goes on; a store of other teachers or other data is refused.
    """
    from crossrank_reinforce.augmentation import Crop
    from crossrank_reinforce.build import SCALE, reinforce
    from crossrank_reinforce.pairs import read_pairs

    store = reinforce(
        read_pairs(captions, images, split),
        [_teacher(each) for each in teachers],
        output,
        views=views,
        variants=variants,
        given=None if given is None else _given(given),
        augmentation=Crop(least=least),
        scales=_scales(scales, len(teachers), SCALE),
        seed=seed,
        progress=progress or None,
    )
    said = {
        "store": str(output),
        "images": len(store.image_ids),
        "views": store.views,
        "texts": len(store.text_ids),
        "variants": store.variants,
        "teachers": [each["name"] for each in store.plan["teachers"]],
        "bytes": sum(each.stat().st_size for each in output.rglob("*") if each.is_file()),
    }
    if as_json:
        write_json(said)
        return
    click.echo(
        f"{said['store']}: {said['images']:,} pictures × {store.views}, {said['texts']:,} texts × "
        f"{store.variants}, by {', '.join(each['name'] for each in store.plan['teachers'])}; "
        f"{said['bytes']:,} bytes"
    )


def _teacher(text: str) -> cr.Encoder:
    name, _, rest = text.partition(":")
    pairs = [each for each in rest.split(",") if each]
    return shared_encoder(name, read_parameters(pairs, f"--teacher {name}"))


def _scales(scales: Sequence[float], teachers: int, usual: float) -> list[float]:
    if len(scales) in (0, 1):
        return [scales[0] if scales else usual] * teachers
    if len(scales) != teachers:
        raise ParameterError(
            f"reinforce: {len(scales)} times --scale for {teachers} teachers; give one, or as many"
        )
    return list(scales)


def _given(path: Path) -> Mapping[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for number, entry in read_json_lines(path):
        entry = entry if isinstance(entry, dict) else {}
        id, texts = entry.get("id"), entry.get("texts")
        if not isinstance(id, str) or not isinstance(texts, list) or id in found:
            raise FormatError(
                f"{path}, line {number}: give a new id and a list of texts, as "
                '{"id": "dog.jpg#0", "texts": ["…"]}'
            )
        found[id] = texts
    return found


crossrank_commands = adds(reinforce_command)
