"""Scoring blocks in threads of this process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing

from crossrank._engine.block import ReadAhead, run_blocks
from crossrank._engine.memory import PeakMemory
from crossrank._engine.resources import Resources
from crossrank._engine.work import BlockWork, Found, joined
from crossrank.errors import CrossrankError
from crossrank.plugin._threads import LIMITS
from crossrank.plugin.contract import RerankerInfo, Scores

logger = logging.getLogger(__name__)

MOST_LANES = 8
"""Between two products a scorer holds Python's lock, for about a tenth of its time."""


def score_here(work: BlockWork, blocks: Sequence[range], resources: Resources) -> Found:
    """Yield every block with its scores, in order, scored by this process.

    Where portions are scored one at a time, the next one is read from disk meanwhile.
    """
    parts = [part for rows in blocks for part in work.portions[rows.start]]
    lanes, each = lanes_and_threads(work.stage.scorer.info, resources, len(parts))
    stored = work.context.gallery.is_stored(work.needs.candidates)
    ahead = ReadAhead(work.read, parts) if stored and lanes == 1 and len(parts) > 1 else None
    peak = PeakMemory() if logger.isEnabledFor(logging.INFO) else None

    def score(rows: range) -> Scores | CrossrankError:
        block = work.read(rows) if ahead is None else ahead(rows)
        torch.limit()
        scores = work.score(block)
        if peak is not None:
            peak.sample()
        return scores

    with LIMITS.held_to(each) as torch, closing(run_blocks(score, parts, lanes)) as scored:
        try:
            for rows in blocks:
                yield rows, joined([next(scored)[1] for _ in work.portions[rows.start]])
        finally:
            if ahead is not None:
                ahead.close()
    if blocks and peak is not None:
        logger.info(
            "%s: %d portions of %d blocks, %s", work.stage.name, len(parts), len(blocks), peak
        )


def lanes_and_threads(info: RerankerInfo, resources: Resources, portions: int) -> tuple[int, int]:
    """Return how many portions are scored at once, and with how many threads each."""
    if not info.thread_safe:
        return 1, resources.threads
    workers = resources.within_budget()
    if not info.single_threaded or resources.device != "cpu":
        return workers, resources.threads
    cores = resources.workers * resources.threads
    lanes = min(portions, max(workers, resources.within_budget(min(cores, MOST_LANES))))
    return (lanes, cores // lanes) if lanes > workers else (workers, resources.threads)
