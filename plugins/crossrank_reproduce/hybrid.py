"""Rows with queries or candidates of pictures and texts together: composed, mixed and pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_composed import leave_out
from crossrank_reproduce.datasets import composed_of, mixed_of
from crossrank_reproduce.encoding import Encoding
from crossrank_reproduce.result import Measures
from crossrank_reproduce.retrieval import unlike
from crossrank_reproduce.tables import Row

DEPTH = 50
Run = Callable[[Row, Encoding], tuple[Measures, list[str]]]


def composed(row: Row, encoding: Encoding) -> tuple[Measures, list[str]]:
    """Search pictures by a picture and an edit; the reference is left out of each list."""
    data = composed_of(row.dataset, encoding.places)
    queries = encoding.encode(row, data.query_items(), "queries")
    gallery = encoding.encode(row, data.image_items(), "images")
    found = cr.search(queries, gallery, depth=DEPTH + 1, progress=encoding.progress)
    lists = leave_out(found, data.triplets, DEPTH)
    qrels = {each.id: each.target for each in data.triplets}
    measured = cr.evaluate(lists, qrels, ["R@1", "R@5", "R@10", "R@50"], resamples=0)
    notes = unlike(row, images=len(data.gallery), queries=len(data.triplets))
    return {"it2i": dict(next(iter(measured.rows.values())))}, notes


def mixed(row: Row, encoding: Encoding) -> tuple[Measures, list[str]]:
    """Search a corpus of texts, pictures and both; recall counts the share that is found."""
    data = mixed_of(row.dataset, encoding.places)
    queries = _together(row, data.queries, "queries", encoding)
    corpus = _together(row, data.corpus, "corpus", encoding)
    found = cr.search(queries, corpus, depth=DEPTH, progress=encoding.progress)
    measured = cr.evaluate(found, data.qrels, ["ir:R@5", "R@5"], resamples=0)
    values = next(iter(measured.rows.values()))
    share = 100 * values["ir:R@5"]
    return {"all": {"R@5": share, "any of them within 5": values["R@5"]}}, []


def pairs(row: Row, encoding: Encoding) -> tuple[Measures, list[str]]:
    """Compare items with one another."""
    images = Path(encoding.places.fill(row.settings["images"]))
    found = {}
    for number, each in enumerate(row.settings["pairs"]):
        sides = [_item(f"{number}-{side}", each[side], images) for side in ("query", "candidate")]
        left, right = (
            np.asarray(encoding.encode(row, [item], str(item.id))["embedding"][0], np.float64)
            for item in sides
        )
        found[each["name"]] = float(left @ right)
    return {"similarity": found}, []


def kind_of(item: cr.Item) -> str:
    """Return the modality of an item."""
    if item.image is None:
        return "text"
    return "image" if item.text is None else "image+text"


def _item(id: str, entry: Mapping[str, str], images: Path) -> cr.Item:
    image = images / entry["image"] if "image" in entry else None
    return cr.Item(id, entry.get("text"), image)


def _together(row: Row, items: Sequence[cr.Item], what: str, encoding: Encoding) -> cr.Collection:
    """Encode items of several modalities into one collection, for searching."""
    ids: list[str] = []
    rows: list[np.ndarray] = []
    for kind, own in groupby(sorted(items, key=kind_of), key=kind_of):
        part = encoding.encode(row, list(own), f"{what}-{kind}")
        ids += part.ids
        rows.append(np.asarray(part["embedding"]))
    return cr.Collection(ids, "image+text", embedding=np.concatenate(rows))
