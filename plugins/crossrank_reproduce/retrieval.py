"""Rows of kind ``retrieval``: pictures and captions, both directions, the stages of the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import InputError, StoreError
from crossrank.plugin.files import map_npy
from crossrank_reproduce.datasets import captions_of
from crossrank_reproduce.encoding import Encoding
from crossrank_reproduce.result import Measures
from crossrank_reproduce.tables import Row

METRICS = ("R@1", "R@5", "R@10")
DIRECTIONS = ("t2i", "i2t")


@dataclass(frozen=True, slots=True)
class Sides:
    """Pictures and captions of a split, encoded."""

    images: cr.Collection
    texts: cr.Collection

    def of(self, direction: str) -> tuple[cr.Collection, cr.Collection]:
        """Return queries and gallery."""
        if direction == "t2i":
            return self.texts, self.images
        return self.images, self.texts


def measure(row: Row, encoding: Encoding) -> tuple[Measures, list[str]]:
    """Run a row, and return its measures by direction, and notes."""
    captions = captions_of(row.dataset, encoding.places)
    sides = _sides(row, captions, encoding)
    notes = unlike(row, images=len(captions.image_ids), texts=len(captions.text_ids))
    asked = [each for each in DIRECTIONS if each in row.published or "both" in row.published]
    found: dict[str, dict[str, float]] = {}
    for direction in asked:
        queries, gallery = sides.of(direction)
        qrels: Mapping[str, Mapping[str, int]] = captions.qrels(direction)
        if "largest_box_below" in row.settings:
            queries, qrels = _of_small_objects(row, captions, sides.images, queries, qrels)
            notes.append(f"{len(queries):,} captions are of pictures with small objects only")
        ranked = _ranked(row, direction, queries, gallery, encoding)
        rows = cr.evaluate(ranked, qrels, METRICS, resamples=0).rows
        found[direction] = dict(list(rows.values())[-1])
    if len(asked) == len(DIRECTIONS):
        total = sum(found[direction][metric] for direction in asked for metric in METRICS)
        found["both"] = {"RSUM": total, "mR": total / 6}
    return found, notes


def unlike(row: Row, **counts: int) -> list[str]:
    """Say so where a split has other counts than the published one."""
    expected = row.dataset.get("expected", {})
    return [
        f"{count:,} {what} instead of {expected[what]:,}: not the published split"
        for what, count in counts.items()
        if expected.get(what, count) != count
    ]


def stages_of(row: Row, encoding: Encoding) -> list[cr.Stage]:
    """Return the stages of a row."""
    made = []
    for each in encoding.places.fill(row.settings.get("stages", [])):
        fusion: cr.Fusion = cr.Replace()
        if each.get("fusion") != "replace":
            fusion = cr.WeightedSum(each["weight"], each.get("normalise", "zscore"))
        params = dict(each.get("params", {}))
        made.append(cr.Stage(each["reranker"], each.get("depth"), fusion, params))
    return made


def _sides(row: Row, captions: cr.Captions, encoding: Encoding) -> Sides:
    folder = Path(encoding.places.fill(row.dataset["images"]))
    items, texts = captions.image_items(folder), captions.text_items()
    paths = [folder / path for path in captions.paths]
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"reproduce {row.name}: {path} is not there, one of {len(paths):,} pictures that "
                "the captions name; complete the folder"
            )
    if "encoder" in row.settings:
        images = encoding.encode(row, items, "images")
        sides = Sides(images, encoding.encode(row, texts, "texts"))
    else:
        sides = Sides(
            cr.Collection(captions.image_ids, "image", path=list(map(str, paths))),
            cr.Collection(captions.text_ids, "text", text=captions.texts),
        )
    own: dict[str, Any] = {}
    if "regions" in row.settings:
        own["regions"] = _regions(row, captions, encoding)
    if "boxes" in row.settings:
        from crossrank_qperturb import flickr30k_entities

        drawn = flickr30k_entities(encoding.places.fill(row.settings["boxes"]), captions.image_ids)
        own["boxes"] = cr.Ragged.from_list(list(drawn.values()))
    return Sides(sides.images.with_features(**own), sides.texts) if own else sides


def _regions(row: Row, captions: cr.Captions, encoding: Encoding) -> cr.Ragged:
    folder = Path(encoding.places.fill(row.settings["regions"]))
    found = []
    for id in captions.image_ids:
        path = folder / f"{Path(id).stem}.npy"
        try:
            found.append(np.asarray(map_npy(path), dtype=np.float32))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"reproduce {row.name}: {path} cannot be read: {error}; it must hold the regions "
                f"of the picture {id!r}, a matrix"
            ) from error
    return cr.Ragged.from_list(found)


def _of_small_objects(
    row: Row,
    captions: cr.Captions,
    images: cr.Collection,
    queries: cr.Collection,
    qrels: Mapping[str, Mapping[str, int]],
) -> tuple[cr.Collection, Mapping[str, Mapping[str, int]]]:
    """Return the captions of pictures whose largest box covers less than a share of the area."""
    most = row.settings["largest_box_below"]
    small = []
    for boxes in images["boxes"]:
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        small.append(len(areas) > 0 and float(areas.max()) < most)
    kept = [n for n, image in enumerate(captions.text_to_image) if small[image]]
    if not kept:
        raise InputError(
            f"reproduce {row.name}: no picture has boxes that are all smaller than {most}; check "
            "the annotations"
        )
    return queries.take(kept), {captions.text_ids[n]: qrels[captions.text_ids[n]] for n in kept}


def _ranked(
    row: Row, direction: str, queries: cr.Collection, gallery: cr.Collection, encoding: Encoding
) -> cr.Candidates | cr.Rankings:
    base = row.settings.get("base", "search")
    if base == "search":
        candidates = cr.search(queries, gallery, depth=len(gallery), progress=encoding.progress)
    elif base == "all":
        candidates = everything(queries, gallery, direction)
    else:
        candidates = _of_matrix(row, base[direction], direction, queries, gallery, encoding)
    stages = stages_of(row, encoding)
    if not stages:
        return candidates
    return cr.Pipeline(stages).rerank(
        candidates,
        queries,
        gallery,
        device=encoding.device,
        cache_folder=encoding.cache_folder,
        progress=encoding.progress,
    )


def everything(
    queries: cr.Collection, gallery: cr.Collection, direction: str | None = None
) -> cr.Candidates:
    """Return lists of the whole gallery, without scores."""
    shape = len(queries), len(gallery)
    index = np.broadcast_to(np.arange(len(gallery)), shape)
    mask = np.ones(shape, dtype=bool)
    return cr.Candidates(index, None, mask, queries.ids, gallery.ids, direction)


def _of_matrix(
    row: Row,
    template: str,
    direction: str,
    queries: cr.Collection,
    gallery: cr.Collection,
    encoding: Encoding,
) -> cr.Candidates:
    path = Path(encoding.places.fill(template))
    images, texts = (gallery, queries) if direction == "t2i" else (queries, gallery)
    try:
        matrix = map_npy(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"reproduce {row.name}: {path} cannot be read: {error}") from error
    if matrix.shape != (len(images), len(texts)):
        raise InputError(
            f"reproduce {row.name}: {path} has the shape {matrix.shape}, which must be "
            f"({len(images)}, {len(texts)}): a row a picture, a column a caption"
        )
    return cr.Candidates.from_similarity(
        matrix, direction, image_ids=images.ids, text_ids=texts.ids
    )
