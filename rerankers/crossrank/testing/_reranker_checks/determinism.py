"""The same block gives the same bits."""

from __future__ import annotations

from crossrank.testing._case import RerankerCase
from crossrank.testing._differences import require_same_scores

MEND = "a reranker is deterministic: no random numbers without a fixed seed, no clock, no set order"


def same_block_gives_the_same_bits(case: RerankerCase) -> None:
    """Expect every bit again when a block is scored again."""
    run = case.start()
    first = run.scores()
    require_same_scores(first, run.scores(), "when the same block is scored again", MEND, 0.0)
    require_same_scores(first, case.start().scores(), "when everything is run again", MEND, 0.0)
