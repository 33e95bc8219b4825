"""Candidate lists as notebooks show them: the first of each, in base order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crossrank._items.showing import left_out, table, thumbnail
from crossrank._lists.showing import LISTS, is_picture

if TYPE_CHECKING:
    from crossrank._lists.candidates import Candidates

FIRST = 3
"""Candidates of a list that are shown."""


def candidates_html(candidates: Candidates) -> str:
    """Return the size of the lists and the first candidates of the first of them."""
    order = candidates.base_order()
    shown = range(min(LISTS, len(candidates)))
    rows = [
        (
            candidates.query_ids[row],
            int(candidates.mask[row].sum()),
            *(_best(candidates, row, place) for place in order[row, :FIRST].tolist()),
        )
        for row in shown
    ]
    heads = [f"base rank {rank + 1}" for rank in range(min(FIRST, candidates.index.shape[1]))]
    more = left_out(len(shown), len(candidates), "lists")
    return table(repr(candidates), ("query", "candidates", *heads), rows, more)


def _best(candidates: Candidates, row: int, place: int) -> object:
    """Return a candidate with its score, or its picture where the id is one's path."""
    if not candidates.mask[row, place]:
        return ""
    id = candidates.candidate_ids[candidates.index[row, place]]
    picture = thumbnail(Path(id)) if is_picture(id) else ""
    if picture:
        return picture
    return id if candidates.scores is None else f"{id} {candidates.scores[row, place]:.4g}"
