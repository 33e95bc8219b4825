"""Dialogues that were held, as a series of runs: one for every round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError, UnknownIdError, nearest
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.measures import ranks_of
from crossrank_dialogue.ranker import PartRanker
from crossrank_dialogue.reformulators import Reformulator


def replay(
    ranker: PartRanker,
    dialogues: Sequence[Dialogue],
    reformulator: Reformulator,
    rounds: int | None = None,
) -> tuple[cr.Rankings, ...]:
    """Return the rankings after every round, from round 0.

    Each is a run like any other: `crossrank.evaluate` measures it, ``to_trec`` writes it for
    ``crossrank compare``.

    Parameters
    ----------
    ranker
        Gallery and pipeline.
    dialogues
        With ids, by which the queries are called; one that has ended keeps its last query.
    reformulator
        Makes the queries.
    rounds
        How many; those of the longest dialogue by default.

    Raises
    ------
    InputError
        If there is no dialogue, or `rounds` is below 0.
    DuplicateIdError
        If an id stands twice.
    """
    ids, last = _checked(dialogues, rounds)
    return tuple(
        ranker(ids, [reformulator.parts(each.until(after)) for each in dialogues])
        for after in range(last + 1)
    )


def round_splits(
    ranker: PartRanker,
    dialogues: Sequence[Dialogue],
    reformulator: Reformulator,
    targets: Sequence[str],
    rounds: int | None = None,
) -> tuple[cr.Split, ...]:
    """Return the queries of every round, from round 0, as splits for `crossrank.ablate`.

    An ablation per round says what each stage buys as a conversation goes on.

    Parameters
    ----------
    ranker
        Its gallery and depth; what the stages of its pipeline read of queries is encoded.
    dialogues, reformulator, rounds
        As for `replay`; a query is the one text of ``rewrite``.
    targets
        Per dialogue the id that is looked for.

    Raises
    ------
    InputError
        As `replay` does, and if these are not one target per dialogue.
    """
    ids, last = _checked(dialogues, rounds)
    if len(targets) != len(ids):
        raise InputError(
            f"round_splits: {len(targets)} targets for {len(ids)} dialogues; give one for each"
        )
    qrels = {id: {target: 1} for id, target in zip(ids, targets, strict=True)}
    found = []
    for after in range(last + 1):
        texts = [reformulator.rewrite(each.until(after)) for each in dialogues]
        queries = ranker.queries(ids, texts)
        found.append(cr.Split(queries, ranker.gallery, qrels, depth=ranker.depth))
    return tuple(found)


def _checked(dialogues: Sequence[Dialogue], rounds: int | None) -> tuple[list[str], int]:
    """Return the ids of the queries and the last round."""
    if not dialogues:
        raise InputError("replay: there is no dialogue; give at least one")
    last = max(each.rounds for each in dialogues) if rounds is None else rounds
    if isinstance(last, bool) or last < 0:
        raise InputError(f"replay: rounds is {rounds!r:.80}; give 0 or more")
    return [each.id if each.id else str(number) for number, each in enumerate(dialogues)], last


def ranks_by_round(runs: Sequence[cr.Rankings], targets: Sequence[str]) -> NDArray[np.int64]:
    """Return ``[queries, rounds + 1]`` the targets' ranks, for `bri`, `recall_at` and the others.

    Parameters
    ----------
    runs
        What `replay` returned.
    targets
        Per query the id that is looked for.  What a run did not list is ranked behind all that it
        did, in gallery order.

    Raises
    ------
    InputError
        If these are not one target per query.
    UnknownIdError
        If a target is not in the gallery.
    """
    if not runs or any(len(run) != len(targets) for run in runs):
        raise InputError(
            f"ranks_by_round: {len(targets)} targets for runs of {[len(run) for run in runs]} "
            "queries; give one for each query"
        )
    places = {id: row for row, id in enumerate(runs[0].candidate_ids)}
    unknown = next((id for id in targets if id not in places), None)
    if unknown is not None:
        raise UnknownIdError(
            f"ranks_by_round: the target {unknown!r} is not in the gallery"
            f"{nearest(unknown, list(places)[:1000])}"
        )
    rows = [places[id] for id in targets]
    return np.stack([ranks_of(run.to_similarity(), rows) for run in runs], axis=1)
