"""Runs as ``crossrank evaluate`` names them, and the judgements each belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossrank._files.trec import Qrels, Run, read_run
from crossrank.errors import DuplicateIdError, InputError, UnknownIdError


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run under the name of its system."""

    name: str
    path: Path
    run: Run


def read_named(text: str) -> NamedRun:
    """Read ``NAME=RUN``, and refuse a run that lists nothing."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise InputError(f"{text!r} is not NAME=RUN; name the run, such as base={text}")
    run = read_run(Path(path))
    if not run:
        raise InputError(f"{path} lists nothing; there is nothing to evaluate")
    return NamedRun(name, Path(path), run)


def divided(
    runs: Sequence[NamedRun], judged: Sequence[Qrels], paths: Sequence[Path]
) -> list[list[NamedRun]]:
    """Give each run to the qrels that know its queries, or where both do, its candidates.

    A run that none knows or that both fit alike is refused, and qrels that are left without a run.
    """
    if len(judged) == 1:
        return [list(runs)]
    parts: list[list[NamedRun]] = [[] for _ in judged]
    for each in runs:
        fits = [_fit(each.run, qrels) for qrels in judged]
        if not any(queries for queries, _ in fits):
            raise UnknownIdError(
                f"{each.path}: neither {' nor '.join(map(str, paths))} knows its queries, such as "
                f"{next(iter(each.run))!r}; give the qrels that belong to it"
            )
        if fits.count(max(fits)) > 1:
            raise InputError(
                f"{each.path} fits {' and '.join(map(str, paths))} alike; evaluate one direction "
                "at a time"
            )
        parts[fits.index(max(fits))].append(each)
    for part, path in zip(parts, paths, strict=True):
        if not part:
            raise InputError(f"no run belongs to {path}; give the runs of both directions")
    return parts


def by_name(runs: Sequence[NamedRun], qrels: Path) -> dict[str, Run]:
    """Return runs by name, which must differ."""
    named: dict[str, NamedRun] = {}
    for each in runs:
        other = named.setdefault(each.name, each)
        if other is not each:
            raise DuplicateIdError(
                f"{other.path} and {each.path} are both called {each.name!r} for {qrels}; "
                "give them different names"
            )
    return {name: each.run for name, each in named.items()}


def _fit(run: Run, qrels: Qrels) -> tuple[int, int]:
    """Return how many of a run's queries the qrels know, and how many judged candidates it has."""
    shared = run.keys() & qrels.keys()
    return len(shared), sum(len(run[query].keys() & qrels[query].keys()) for query in shared)
