"""``crossrank knowledge build|whiten|refine|show|merge``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import crossrank as cr
from crossrank.cli.kit import (
    PATH,
    as_json,
    check_output,
    common_options,
    force,
    progress,
    read_parameters,
    table,
    write_json,
)
from crossrank.cli.kit import command as crossrank_command
from crossrank.errors import InputError
from crossrank.plugin import as_progress
from crossrank.plugin.encoders import as_encoder
from crossrank.plugin.files import atomic_file, refuse_existing
from crossrank_knowledge.annotations import Annotations, Coco, FolderPerClass, VisualGenome
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.building import Source
from crossrank_knowledge.captions import CaptionWords
from crossrank_knowledge.concepts import SpacyParser
from crossrank_knowledge.refining import refine as refine_bank
from crossrank_knowledge.regions import RegionSource
from crossrank_knowledge.sharpen import SharpRegions
from crossrank_knowledge.show import NearPicture, describe, nearest_pictures, render_page
from crossrank_knowledge.whiten import whitened

OUTPUT = click.option("-o", "--output", required=True, type=PATH, help="A new folder for the bank.")


@click.group("knowledge")
def knowledge() -> None:
    """Build, whiten, refine, show and merge banks of what words look like."""


common_options(knowledge)


@crossrank_command("build", "crossrank knowledge build objects.json --images VG -o bank")
@click.argument("source", type=PATH)
@OUTPUT
@click.option("--images", type=PATH, help="The folder of the pictures (Visual Genome, COCO).")
@click.option("--encoder", default="lite", show_default=True, help="See 'crossrank plugins'.")
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="For the encoder.")
@click.option(
    "--how",
    type=click.Choice(["grid", "crop"]),
    default="grid",
    show_default=True,
    help="Pool the encoder's grid cells under each box, or encode what is in it.",
)
@click.option("--sharpen", type=PATH, help="A bank of the same captions, built before.")
@click.option("--keep", type=int, default=25, show_default=True, help="Cells, with --sharpen.")
@click.option("--min-count", type=int, default=1, show_default=True, help="Drop rarer words.")
@click.option("--lemmas", is_flag=True, help="Count words by their lemma (spaCy).")
@click.option(
    "--not-finite",
    type=click.Choice(["refuse", "skip"]),
    default="refuse",
    show_default=True,
    help="What to do with features that hold NaN or infinity.",
)
@progress
@as_json
def build(
    source: Path,
    output: Path,
    images: Path | None,
    encoder: str,
    params: tuple[str, ...],
    how: Any,
    sharpen: Path | None,
    keep: int,
    min_count: int,
    lemmas: bool,
    not_finite: Any,
    progress: bool,
    as_json: bool,
) -> None:
    """Build a bank from SOURCE in one pass.

    SOURCE is Visual Genome's objects.json, COCO instances, a folder per class, or lines of captions
    (.jsonl: {"image": "a.jpg", "captions": ["a red flag"]}), of which each word takes the mean of
    its whole pictures.  With --sharpen BANK each word of captions takes the cells alone that agree
    best with what BANK, built before and perhaps whitened, says of it.

    The same command goes on after a kill: what is finished lies in OUTPUT.partial.
    """
    maker = as_encoder(encoder, read_parameters(params, "--param"))
    found = SpacyParser().lemmas() if lemmas else None
    data: dict[str, Any] = {"source": source.name, "how": how}
    regions: Source = RegionSource(annotations := _annotations(source, images), maker, how)
    if sharpen is not None:
        if not isinstance(annotations, CaptionWords):
            raise InputError(
                "knowledge build: --sharpen is for captions; boxes say where words are"
            )
        regions = SharpRegions(annotations, KnowledgeBank.open(sharpen), maker, keep)
        data = {"source": source.name, "how": "sharpened", "keep": keep}
    bank = KnowledgeBank.build(
        regions,
        output,
        data=data,
        lemma=None if found is None else found.__getitem__,
        min_count=min_count,
        not_finite=not_finite,
        checkpoint_every=2_000,
        progress=as_progress(progress),
    )
    _report(bank, output, as_json)


@crossrank_command("whiten", "crossrank knowledge whiten bank --images gallery -o white")
@click.argument("bank", type=PATH)
@OUTPUT
@click.option("--images", required=True, type=PATH, help="A collection with regions.")
@click.option("--size", type=int, default=256, show_default=True, help="Dimensions to keep.")
@click.option("--shrinkage", type=float, default=0.03, show_default=True, help="0 whitens fully.")
@as_json
def whiten(
    bank: Path, output: Path, images: Path, size: int, shrinkage: float, as_json: bool
) -> None:
    """Map a bank to the whitened principal axes of the regions of IMAGES (no pairs needed)."""
    refuse_existing(output)
    white = whitened(KnowledgeBank.open(bank), cr.Collection.open(images), size, shrinkage)
    white.save(output)
    _report(white, output, as_json)


@crossrank_command("refine", "crossrank knowledge refine bank --images gallery -o refined")
@click.argument("bank", type=PATH)
@OUTPUT
@click.option("--images", required=True, type=PATH, help="A collection with regions.")
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="Such as steps=500.")
@progress
@as_json
def refine(
    bank: Path,
    output: Path,
    images: Path,
    params: tuple[str, ...],
    progress: bool,
    as_json: bool,
) -> None:
    """Train MACK's linear map by region-word cycle consistency and write the mapped bank.

    The same command goes on after a kill: the last checkpoint lies in OUTPUT.partial.
    """
    options = read_parameters(params, "--param")
    refined = refine_bank(
        KnowledgeBank.open(bank),
        cr.Collection.open(images),
        output,
        progress=as_progress(progress),
        **_known(options),
    )
    accuracies = refined.data["refined"]["accuracies"]
    if not as_json:
        click.echo(f"held-out cycle accuracy: {accuracies[0]:.4f} → {max(accuracies):.4f}")
    _report(refined, output, as_json)


@crossrank_command("merge", "crossrank knowledge merge bank1 bank2 -o both")
@click.argument("banks", type=PATH, nargs=-1, required=True)
@OUTPUT
@as_json
def merge(banks: tuple[Path, ...], output: Path, as_json: bool) -> None:
    """Write the bank that one build over all the regions of BANKS would have given."""
    first, *others = map(KnowledgeBank.open, banks)
    merged = first.merge(*others)
    merged.save(output)
    _report(merged, output, as_json)


@crossrank_command("show", "crossrank knowledge show bank dog red --gallery photos -o dog.html")
@click.argument("bank", type=PATH)
@click.argument("words", nargs=-1)
@click.option("--most", type=int, default=20, show_default=True, help="Words to list.")
@click.option("--nearest", type=int, default=8, show_default=True, help="Nearest words of each.")
@click.option("--gallery", type=PATH, help="A collection with regions and paths, for the page.")
@click.option("-o", "--output", type=PATH, help="Write a page with the pictures nearest to WORDS.")
@click.option("--pictures", type=int, default=12, show_default=True, help="Per word, on the page.")
@click.option("--center/--no-center", default=True, help="Subtract the bank's mean first.")
@force
@as_json
def show(
    bank: Path,
    words: tuple[str, ...],
    most: int,
    nearest: int,
    gallery: Path | None,
    output: Path | None,
    pictures: int,
    center: bool,
    force: bool,
    as_json: bool,
) -> None:
    """List WORDS (by default the most frequent ones), how often they were seen, what is nearest."""
    if output is not None and (gallery is None or not words):
        raise InputError("knowledge show: a page needs WORDS and --gallery")
    if output is not None:
        check_output(output, force=force)
    opened = KnowledgeBank.open(bank)
    listed = words or opened.words[:most]
    near: list[list[NearPicture]] = [[] for _ in listed]
    if gallery is not None:
        near = nearest_pictures(opened, listed, cr.Collection.open(gallery), pictures, center)
    found = describe(opened, listed, nearest, near, center)
    if output is not None:
        with atomic_file(output) as file:
            file.write(render_page(opened, found, center))
    if as_json:
        write_json({**_summary(opened), "words": [_plain(asdict(each)) for each in found]})
        return
    click.echo(f"{len(opened)} words of {opened.size} dimensions, {opened.regions} regions")
    rows = [
        [each.word, str(each.count), ", ".join(f"{w} {c:.2f}" for w, c in each.nearest)]
        for each in found
    ]
    click.echo(table(["word", "count", "nearest"], rows, right=[1]))
    if output is not None:
        click.echo(f"the page: {output}")


for command in (build, whiten, refine, show, merge):
    knowledge.add_command(command)


def _annotations(source: Path, images: Path | None) -> Annotations:
    if source.is_dir():
        return FolderPerClass(source)
    if not source.is_file():
        raise InputError(f"knowledge build: there is no {source}; check the path")
    if images is None:
        raise InputError("knowledge build: say with --images where the pictures are")
    if source.suffix == ".jsonl":
        return CaptionWords.read(source, images)
    with source.open("rb") as file:
        start = file.read(64).lstrip()
    reader: Callable[[Path, Path], Annotations] = VisualGenome if start[:1] == b"[" else Coco
    return reader(source, images)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    from crossrank_knowledge.batches import RefineOptions

    known = set(RefineOptions.__dataclass_fields__)
    for name in options:
        if name not in known:
            raise InputError(f"knowledge refine: no option {name!r}; there are {sorted(known)}")
    return options


def _summary(bank: KnowledgeBank) -> dict[str, Any]:
    return {"words_known": len(bank), "dimensions": bank.size, **bank.origin()}


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    pictures = [
        {**each, "path": None if each["path"] is None else str(each["path"])}
        for each in value["pictures"]
    ]
    return {**value, "pictures": pictures}


def _report(bank: KnowledgeBank, output: Path, as_json: bool) -> None:
    if as_json:
        write_json({"output": str(output), **_summary(bank)})
    else:
        click.echo(f"{output}: {len(bank)} words from {bank.regions} regions")
