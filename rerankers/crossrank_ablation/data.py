"""A split's collections, judgements and base run, made ready as a `Task`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.checks import align
from crossrank._engine.identity import Digests
from crossrank._files.trec import Qrels
from crossrank._items.collection import Collection
from crossrank._lists.candidates import LETTERS, Candidates
from crossrank._lists.ordering import ranks
from crossrank._search.search import search
from crossrank.errors import InputError, OrientationError, UnknownIdError
from crossrank.evaluation._qrels import as_qrels, clusters_by_relevance, relevant_sets
from crossrank_ablation.task import Split, Task


def make_task(
    split: str, data: Split, direction: str | None = None, encoder: str | None = None
) -> Task:
    """Make a split ready in one direction, which it must make one way or the other."""
    wanted = data.direction if direction is None else direction
    queries, gallery = data.queries, data.gallery
    qrels = as_qrels(data.qrels)
    if wanted != data.direction:
        queries, gallery, qrels = gallery, queries, inverted(qrels)
        made = f"{LETTERS[queries.modality]}2{LETTERS[gallery.modality]}"
        if wanted != made:
            raise OrientationError(
                f"ablate: data.{split} makes {data.direction} or {made}, not {wanted}"
            )
    given = data.candidates
    if isinstance(given, Mapping):
        given = given.get(wanted)
    elif given is not None and wanted != data.direction:
        given = None
    if given is None:
        asked = [row for row, id in enumerate(queries.ids) if id in qrels]
        part = queries if len(asked) == len(queries) else queries.take(asked)
        given = search(part, gallery, data.depth)
    known = [row for row, id in enumerate(given.query_ids) if id in qrels]
    if not known:
        raise UnknownIdError(
            f"ablate: no query of data.{split} ({wanted}) is in its qrels: the run has "
            f"{next(iter(given.query_ids), 'none')!r}, the qrels {next(iter(qrels))!r}; give the "
            "qrels of the same ids"
        )
    candidates, query_rows, _ = align(given.take(known), queries, gallery)
    row = {id: number for number, id in enumerate(candidates.query_ids)}
    places = np.array([row.get(id, -1) for id in qrels], np.int64)
    notes = []
    if left_out := len(given) - len(known):
        notes.append(f"queries that the qrels do not know: {left_out:,}; left out")
    if absent := int((places < 0).sum()):
        notes.append(f"queries without a list: {absent:,}; they count as misses")
    return Task(
        split=split,
        encoder=encoder,
        direction=wanted,
        queries=queries,
        gallery=gallery,
        candidates=candidates,
        query_rows=query_rows,
        qrels=qrels,
        query_ids=tuple(qrels),
        places=places,
        relevant=_relevant_places(candidates, qrels),
        clusters=clusters_by_relevance(relevant_sets(qrels, qrels)),
        base_ranks=ranks(candidates.base_order()),
        digests=Digests(queries, gallery),
        notes=tuple(notes),
    )


def check_apart(tune: Task, report: Task) -> None:
    """Refuse splits that share a query or a relevant item."""
    for what, of_tune, of_report in (
        ("query", set(tune.query_ids), set(report.query_ids)),
        ("relevant item", _all_relevant(tune), _all_relevant(report)),
    ):
        shared = of_tune & of_report
        if shared:
            raise InputError(
                f"ablate: data.tune and data.report overlap ({report.direction}): {len(shared):,} "
                f"{what} ids are in both, such as {min(shared)!r}; what weights are chosen on "
                "must not be reported on"
            )


def inverted(qrels: Qrels) -> Qrels:
    """Return the judgements of the other direction."""
    turned: Qrels = {}
    for query, members in qrels.items():
        for item, relevance in members.items():
            if relevance > 0:
                turned.setdefault(item, {})[query] = relevance
    return turned


def joined(parts: Sequence[Collection], where: str) -> Collection:
    """Return the first of several collections of the same items, with the features of all."""
    first, *others = parts
    for other in others:
        if other.modality != first.modality:
            raise InputError(
                f"ablate: {where} joins a collection of {first.modality}s with one of "
                f"{other.modality}s; give collections of the same items"
            )
        if other.ids != first.ids:
            try:
                rows = [other.row(id) for id in first.ids]
            except UnknownIdError as error:
                raise UnknownIdError(f"ablate: {where}: {error}; encode the same items") from None
            other = other.take(rows)
        extra: dict[str, Any] = {
            name: other[name] for name in other.features if name not in first.features
        }
        first = first.with_features(**extra)
    return first


def _relevant_places(candidates: Candidates, qrels: Qrels) -> NDArray[np.bool_]:
    found = np.zeros(candidates.index.shape, np.bool_)
    rows = {id: row for row, id in enumerate(candidates.candidate_ids)}
    for number, query in enumerate(candidates.query_ids):
        wanted = [rows[id] for id, value in qrels[query].items() if value > 0 and id in rows]
        for row in wanted:
            found[number] |= candidates.index[number] == row
    return found & candidates.mask


def _all_relevant(task: Task) -> set[str]:
    return {
        id for members in task.qrels.values() for id, relevance in members.items() if relevance > 0
    }
