"""A published table from beginning to end."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from crossrank.errors import InputError
from crossrank.plugin.files import atomic_bytes, disk_errors
from crossrank_reproduce import hybrid, retrieval
from crossrank_reproduce.encoding import Encoding
from crossrank_reproduce.needs import Found, check, keep, look, read_record
from crossrank_reproduce.result import Figure, Outcome, figures_of
from crossrank_reproduce.tables import Places, Row, read_table

RESULT = "result.json"
KINDS: dict[str, hybrid.Run] = {
    "retrieval": retrieval.measure,
    "composed": hybrid.composed,
    "mixed": hybrid.mixed,
    "pairs": hybrid.pairs,
}


def reproduce(
    table: str,
    data: str | Path,
    *,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "cpu",
    check: bool = True,
    progress: bool = False,
) -> Outcome:
    """Run the rows of a published table whose files are there.

    Parameters
    ----------
    table
        One of `table_names`, or ``table/row``.
    data
        The folder of data sets, as the plan says.
    weights
        The folder of checkpoints; by default ``weights`` in `data`.
    out
        A folder for features, so that a run that was killed goes on, and ``result.json``; without
        one nothing is kept.
    device
        Where torch computes.
    check
        Whether files of another size or digest than the published, or the first seen, are refused.
    progress
        True for bars on standard error.

    Returns
    -------
    Outcome
        Ours beside the published figures, and the rows that were left out with the reason.

    Raises
    ------
    InputError
        On an unknown table or row, and if no row has all its files: with what to download where.
    StoreError
        If a file has another size or digest.
    """
    chosen = read_table(table)
    folder = _folder(data)
    places = places_of(folder, weights)
    kept = None if out is None else Path(out)
    figures: list[Figure] = []
    left_out: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = {}
    known = read_record(folder)
    advice = ""
    ready: list[Row] = []
    for row in chosen.rows:
        missing = [
            each
            for each in (look(need, places, known, content=False) for need in row.needs)
            if each.state == "missing"
        ]
        if missing:
            advice = advice or f"{row.name} needs {missing[0].need.name}: {missing[0].advice()}"
            left_out[row.name] = "; ".join(each.advice() for each in missing)
            continue
        ready.append(row)
    if not ready:
        raise InputError(
            f"reproduce: {advice}; all that is needed: crossrank reproduce {table} "
            f"--data {folder} --dry-run"
        )
    found = {
        need.name: look(need, places, known, content=True) for row in ready for need in row.needs
    }
    said = _checked(found, folder, check)
    if kept is not None:
        with disk_errors(kept):
            kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        places = replace(places, made=(kept or Path(temporary)) / "made")
        for row in ready:
            encoding = Encoding(_converted(row, places), kept, device, progress)
            ours, more = KINDS[row.kind](row, encoding)
            figures += figures_of(row.name, row.system, ours, row.published)
            own = (said[need.name] for need in row.needs if need.name in said)
            notes[row.name] = (*own, *more)
    outcome = Outcome(chosen.name, tuple(figures), left_out, notes)
    if kept is not None:
        text = json.dumps(outcome.to_dict(), indent=1, ensure_ascii=False)
        atomic_bytes(kept / RESULT, text.encode("utf-8") + b"\n")
    return outcome


def places_of(data: Path, weights: str | Path | None) -> Places:
    """Return the folders that a table's names stand for."""
    made = data / "made"
    return Places(data, data / "weights" if weights is None else Path(weights), made)


def _folder(data: str | Path) -> Path:
    folder = Path(data)
    if not folder.is_dir():
        raise InputError(f"reproduce: {folder} is not a folder; make it, and see --dry-run")
    return folder


def _checked(found: Mapping[str, Found], data: Path, strict: bool) -> dict[str, str]:
    """Return what a reader has to know of the files, by name, before anything is run."""
    if strict:
        check(found.values())
    said = {
        name: f"{each.path} has {each.said}"
        for name, each in found.items()
        if each.state == "wrong"
    }
    return said | keep(found.values(), data)


def _converted(row: Row, places: Places) -> Places:
    """Convert a state dict where the row says so, once; return the places with its folder."""
    settings = row.settings.get("convert")
    if settings is None:
        return places
    from crossrank_clip.state_dict import convert

    options = places.fill(settings)
    file = Path(options.pop("file"))
    folder = places.made / file.stem
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        convert(file, folder, **options)
    return replace(places, made=folder)
