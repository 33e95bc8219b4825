"""Runs and relevance judgements as TREC text files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from crossrank._files.atomic import atomic_file
from crossrank._files.parsing import check_regular
from crossrank.errors import DuplicateIdError, FormatError

Run = dict[str, dict[str, float]]
Qrels = dict[str, dict[str, int]]


def read_run(path: Path) -> Run:
    """Read ``query Q0 candidate rank score tag`` lines as ``{query id: {candidate id: score}}``.

    In the order of the file.  A line that has other than six fields, a score that is no finite
    number, or a candidate again is refused with file and line.
    """
    run: Run = {}
    for number, fields in _lines(path, 6, "query Q0 candidate rank score tag"):
        query, _, candidate, _, text, _ = fields
        score = _number(path, number, text)
        if candidate in run.setdefault(query, {}):
            raise DuplicateIdError(f"{path}:{number} lists {candidate!r} for {query!r} again")
        run[query][candidate] = score
    return run


def write_run(path: Path, run: Mapping[str, Mapping[str, float]], tag: str = "crossrank") -> None:
    """Write a run file, best first; scores are lowered by a hair where they would tie in float32.

    An id that is empty or has white space in it is refused.
    """
    for id in (id for query, members in run.items() for id in (query, *members)):
        if not id or any(character.isspace() for character in id):
            raise FormatError(
                f"the id {id!r} cannot stand in a run file, split at white space; rename it"
            )
    with atomic_file(path) as lines:
        for query, members in run.items():
            ordered = sorted(members.items(), key=lambda member: -member[1])
            scores = strictly_falling([score for _, score in ordered])
            for rank, ((candidate, _), score) in enumerate(zip(ordered, scores, strict=True), 1):
                lines.write(f"{query} Q0 {candidate} {rank} {score} {tag}\n")


def strictly_falling(scores: list[float]) -> list[str]:
    """Return falling scores as decimal texts that fall strictly when read as float32 or float64."""
    limits = np.finfo(np.float32)
    previous = np.float32(np.inf)
    texts = []
    for score in scores:
        value = np.float32(np.clip(score, limits.min / 2, limits.max / 2))
        value = min(value, np.nextafter(previous, np.float32(-np.inf)))
        texts.append(np.format_float_positional(value, trim="0") if _plain(value) else str(value))
        previous = value
    return texts


def _plain(value: np.float32) -> bool:
    return bool(value == 0 or 1e-4 <= abs(value) < 1e16)


def read_qrels(path: Path) -> Qrels:
    """Read ``query 0 candidate relevance`` lines.

    Returns
    -------
    dict
        ``{query id: {candidate id: relevance}}``.

    Raises
    ------
    FormatError, DuplicateIdError
        As for `read_run`.
    """
    qrels: Qrels = {}
    for number, fields in _lines(path, 4, "query 0 candidate relevance"):
        query, _, candidate, text = fields
        relevance = _number(path, number, text)
        if relevance != int(relevance):
            raise FormatError(f"{path}:{number} has the relevance {text!r}; give a whole number")
        if candidate in qrels.setdefault(query, {}):
            raise DuplicateIdError(f"{path}:{number} judges {candidate!r} for {query!r} again")
        qrels[query][candidate] = int(relevance)
    return qrels


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write relevance judgements; see `read_qrels`."""
    with atomic_file(path) as lines:
        for query, members in qrels.items():
            for candidate, relevance in members.items():
                lines.write(f"{query} 0 {candidate} {relevance}\n")


def _lines(path: Path, count: int, form: str) -> Iterator[tuple[int, list[str]]]:
    try:
        check_regular(path)
        _refuse_gzip(path)
        # a byte-order mark would stay in the first query's id
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                fields = line.split()
                if not fields:
                    continue
                if len(fields) != count:
                    raise FormatError(
                        f"{path}:{number} has {len(fields)} fields instead of {count} "
                        f"({form}); an id must not have white space in it"
                    )
                yield number, fields
    except FormatError:
        raise
    except (OSError, ValueError) as error:  # also not UTF-8, or a NUL in the path
        raise FormatError(f"{path} cannot be read: {error}") from error


def _refuse_gzip(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise FormatError(f"{path} is gzipped; unpack it first (gunzip -k {path.name})")


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{path}:{line} has {text!r} where a finite number belongs")
    return value
