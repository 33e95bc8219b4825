"""How composed retrieval is evaluated: without the reference picture, and within a subset."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import crossrank as cr
from crossrank.errors import UnknownIdError
from crossrank_composed.triplets import Triplet


def leave_out(candidates: cr.Candidates, triplets: Sequence[Triplet], depth: int) -> cr.Candidates:
    """Return the lists without each query's reference picture, cut to `depth`.

    Search one deeper than `depth`: the reference is often its own nearest picture.

    Raises
    ------
    UnknownIdError
        If a list's query is none of the triplets.
    """
    return _kept(candidates, triplets, lambda triplet, name: name != triplet.reference, depth)


def keep_members(candidates: cr.Candidates, triplets: Sequence[Triplet]) -> cr.Candidates:
    """Return the lists with the members of each query's subset only: CIRR's subset recall.

    Search the whole gallery before.

    Raises
    ------
    UnknownIdError
        If a list's query is none of the triplets.
    """
    return _kept(candidates, triplets, lambda triplet, name: name in triplet.members, None)


def _kept(
    candidates: cr.Candidates,
    triplets: Sequence[Triplet],
    wanted: Callable[[Triplet, str], bool],
    depth: int | None,
) -> cr.Candidates:
    known = {triplet.id: triplet for triplet in triplets}
    for id in candidates.query_ids:
        if id not in known:
            raise UnknownIdError(f"composed: the query {id!r} is none of the triplets")
    ids = candidates.candidate_ids
    lists = [
        [(ids[row], score) for row, score in own if wanted(known[query], ids[row])][:depth]
        for query, own in zip(candidates.query_ids, candidates.to_lists(), strict=True)
    ]
    scores = None
    if candidates.scores is not None:
        scores = [[float(score) for _, score in own if score is not None] for own in lists]
    return cr.Candidates.from_lists(
        [[id for id, _ in own] for own in lists],
        scores=scores,
        query_ids=candidates.query_ids,
        candidate_ids=ids,
    )
