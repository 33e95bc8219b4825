"""What `explain` returns."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from crossrank._lists.evidence import Evidence, Link
from crossrank.plugin.contract import Block
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import require
from crossrank.testing._differences import require_same_scores


def evidence_is_one_json_object_per_pair(case: RerankerCase) -> None:
    """Expect nothing of ``explain``, or for each pair in turn what JSON can hold."""
    run = case.start()
    block = run.block(explain=True)
    found = tuple(run.scorer.explain(block, run.state))
    if not found:
        return
    pairs = _pairs(block)
    require(
        len(found) == len(pairs),
        f"explain() returned {len(found)} pieces for {len(pairs)} pairs; return one per pair of "
        "block.mask, row by row, or none at all",
    )
    scores = run.scores()
    for pair, piece in zip(pairs, found, strict=True):
        _require_evidence(pair, piece)
        if scores[pair] is not None:
            require_same_scores(
                scores, {pair: piece.score}, "in its evidence", "Evidence.score is the raw score"
            )


def evidence_needs_no_extra_features(case: RerankerCase) -> None:
    """Expect evidence where ``info.explain_features`` are not there: they are extras."""
    run = case.start_bare()
    tuple(run.scorer.explain(run.block(explain=True), run.state))


def _pairs(block: Block) -> list[tuple[str, str]]:
    return [
        (block.queries.ids[row], block.candidates.ids[block.index[row, place]])
        for row, place in np.argwhere(block.mask)
    ]


def _require_evidence(pair: tuple[str, str], piece: Any) -> None:
    where = f"the evidence of query {pair[0]!r} and candidate {pair[1]!r}"
    require(
        isinstance(piece, Evidence),
        f"{where} is a {type(piece).__name__}; return crossrank.Evidence",
    )
    named = (piece.query_id, piece.candidate_id)
    require(named == pair, f"{where} names {named}; pairs come row by row, as block.mask has them")
    try:
        json.dumps(piece.to_dict(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"{where} cannot be written as JSON: {error}; use Python's own float, int and str, "
            "and no NaN"
        ) from error
    for link in (*piece.links, *piece.keywords, *piece.key_patches):
        require(
            isinstance(link, Link), f"{where} holds a {type(link).__name__}; use crossrank.Link"
        )
        for box in (link.query_box, link.candidate_box):
            require(
                box is None or (len(box) == 4 and all(0.0 <= edge <= 1.0 for edge in box)),
                f"{where} has the box {box}; boxes are x0, y0, x1, y1 in [0, 1]",
            )
