"""What makes a run this run: only such a one goes on from blocks that are kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from crossrank._engine.block import block_bytes
from crossrank._engine.cutting import Cuts
from crossrank._engine.identity import identity
from crossrank._engine.resources import Resources
from crossrank._items.fingerprint import fingerprint
from crossrank._stage import Stage
from crossrank.plugin.contract import Context


def description_of(
    stages: Sequence[Stage],
    context: Context,
    cuts: Cuts,
    resources: Resources,
    transductive: bool,
) -> dict[str, Any]:
    """Return what makes a run this run, in JSON."""
    lists = context.lists
    scores = None if lists.scores is None else np.where(lists.mask, lists.scores, 0.0)
    index = np.where(lists.mask, lists.index, 0)
    return {
        "crossrank": version("crossrank"),
        "candidates": fingerprint(
            [lists.query_ids, lists.candidate_ids, context.direction, lists.mask, index, scores]
        ),
        "queries": context.queries.fingerprint(),
        "gallery": context.gallery.fingerprint(),
        "stages": [
            [
                each.name,
                identity(each.scorer) or each.scorer.fingerprint(),
                each.depth if isinstance(each.depth, int | None) else repr(each.depth),
                repr(each.fusion),
            ]
            for each in stages
        ],
        **({"looks_at_other_queries": True} if transductive else {}),
        "top_k": cuts.top_k,
        "score_threshold": cuts.score_threshold,
        **(
            {}
            if cuts.calibration is None
            else {
                "calibration": cuts.calibration.fingerprint(),
                "min_probability": cuts.min_probability,
            }
        ),
        "block_bytes": block_bytes(resources.memory_budget),
        "device": resources.device,
        "dtype": resources.dtype,
        "threads": resources.threads,
    }
