"""What a reranker may not do to the world around it."""

from __future__ import annotations

import contextlib
import io

from crossrank.testing._case import RerankerCase, Run
from crossrank.testing._check import require
from crossrank.testing._snapshots import unchanged, writable


def inputs_are_never_mutated(case: RerankerCase) -> None:
    """Expect collections, lists and blocks back byte for byte, though they are writable."""
    context = writable(case.context())
    with unchanged("prepare()", context=context):
        run = Run.of(case.build(), context)
    block = writable(run.block())
    with unchanged("score()", block=block):
        run.scorer.score(block, run.state)
    block = writable(run.block(explain=True))
    with unchanged("explain()", block=block):
        tuple(run.scorer.explain(block, run.state))


def nothing_is_printed(case: RerankerCase) -> None:
    """Expect silence: standard output is the caller's, and news go to `logging`."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run = case.start()
        run.scores()
        tuple(run.scorer.explain(run.block(explain=True), run.state))
    require(
        not printed.getvalue(),
        f"it printed {printed.getvalue()[:60]!r}; use logging or context.progress",
    )
