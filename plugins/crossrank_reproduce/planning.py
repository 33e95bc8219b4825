"""The plan of a row, in words: what it needs, what will be run, what was published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossrank_reproduce.needs import Found, look, read_record
from crossrank_reproduce.run import places_of
from crossrank_reproduce.tables import Places, Row, read_table

KINDS = {
    "composed": "search the pictures by the queries of picture and edit, without the reference",
    "mixed": "search the corpus of texts, pictures and both by all queries",
    "pairs": "compare the items of each pair",
}


def plan(
    table: str, data: str | Path = "DATA", weights: str | Path | None = None
) -> list[dict[str, Any]]:
    """Return what a run of each row of a table would do, without running anything.

    Parameters
    ----------
    table
        One of `table_names`, or ``table/row``.
    data, weights
        As for `reproduce`; the folders need not exist.

    Returns
    -------
    list of dict
        Per row ``row``, ``system``, ``ready``, ``needs`` (``name``, ``path``, ``url``, ``what``,
        ``state``, ``said``), ``steps``, ``published``, ``traps``.

    Raises
    ------
    InputError
        On an unknown table or row.
    """
    places = places_of(Path(data), weights)
    known = read_record(Path(data))
    return [_planned(row, places, known) for row in read_table(table).rows]


def _planned(row: Row, places: Places, known: Mapping[str, Any]) -> dict[str, Any]:
    found = [look(need, places, known, content=False) for need in row.needs]
    return {
        "row": row.name,
        "system": row.system,
        "ready": all(each.usable for each in found),
        "needs": [_needed(each) for each in found],
        "steps": steps(row, places),
        "published": {direction: dict(each) for direction, each in row.published.items()},
        "traps": list(row.traps),
    }


def _needed(found: Found) -> dict[str, Any]:
    need = found.need
    return {
        "name": need.name,
        "path": str(found.path),
        "url": need.url or None,
        "what": need.what,
        "size": need.size,
        "sha256": need.sha256,
        "state": found.state,
        "said": found.said,
    }


def steps(row: Row, places: Places) -> list[str]:
    """Return the steps of a row, in the order in which they are run."""
    settings = places.fill(row.settings)
    said = []
    if "convert" in settings:
        each = settings["convert"]
        activation = "quick-gelu" if each["quick_gelu"] else "gelu"
        said.append(
            f"crossrank convert clip-state-dict {each['file']} --activation {activation} "
            f"--tokenizer {each['tokenizer']} -o {places.made}"
        )
    if row.dataset:
        counts = row.dataset.get("expected", {})
        expected = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        most = row.dataset.get("per_image")
        first = "" if most is None else f", the first {most} captions of each picture"
        said.append(f"read {row.dataset['name']}" + (f": {expected}" if expected else "") + first)
    if "encoder" in settings:
        encoder = settings["encoder"]
        features = ",".join(encoder.get("features", ["embedding"]))
        said.append(f"encode by {encoder['name']} ({_params(encoder['params'])}): {features}")
    for name in ("regions", "boxes"):
        if name in settings:
            said.append(f"take {name} of {settings[name]}")
    if row.kind != "retrieval":
        return [*said, KINDS[row.kind]]
    base = settings.get("base", "search")
    directions = [each for each in ("t2i", "i2t") if {each, "both"} & set(row.published)]
    whole = ", ".join(directions)
    if base == "search":
        said.append(f"search by embedding, the whole gallery in every list: {whole}")
    elif base == "all":
        said.append(f"take the whole gallery as every list: {whole}")
    else:
        said += [f"take the scores of {base[direction]}: {direction}" for direction in directions]
    if "largest_box_below" in settings:
        most = settings["largest_box_below"]
        said.append(f"keep captions of pictures whose largest box is below {most:.0%} of the area")
    for stage in settings.get("stages", []):
        depth = f"the best {stage['depth']}" if "depth" in stage else "everything"
        fusion = "replacing the score"
        if stage.get("fusion") != "replace":
            fusion = f"adding {stage['weight']} times its {stage['normalise']} score"
            fusion = fusion.replace("none score", "raw score")
        said.append(
            f"rerank {depth} by {stage['reranker']} ({_params(stage['params'])}), {fusion}"
            if stage.get("params")
            else f"rerank {depth} by {stage['reranker']}, {fusion}"
        )
    return said


def _params(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())
