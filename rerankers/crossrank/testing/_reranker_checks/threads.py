"""Several blocks at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from crossrank._engine.block import run_blocks
from crossrank.testing._case import RerankerCase
from crossrank.testing._differences import PairScores, require_same_scores

WORKERS = 4
ROUNDS = 8


def workers_do_not_matter(case: RerankerCase) -> None:
    """Expect the same bits where several threads score blocks at once."""
    run = case.start()
    rows = run.rows() * ROUNDS
    expected = run.scores(*(run.block([row]) for row in run.rows()))

    def work(place: range) -> PairScores:
        return run.scores(run.block([rows[place.start]]))

    places = [range(at, at + 1) for at in range(len(rows))]
    with _hasty_threads():
        for _, found in run_blocks(work, places, WORKERS):
            require_same_scores(
                expected,
                found,
                f"with {WORKERS} blocks scored at once",
                "keep nothing of a call on self or in the state, or say thread_safe=False in info",
                0.0,
            )


@contextmanager
def _hasty_threads() -> Iterator[None]:
    """Let threads take turns a thousand times as often, so that races show."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1000)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
