"""Where blocks are scored: in threads of this process, or on a Ray cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

from threadpoolctl import threadpool_limits

from crossrank._engine.block import ReadAhead, run_blocks
from crossrank._engine.memory import PeakMemory
from crossrank._engine.resources import Resources
from crossrank._engine.work import BlockWork, joined
from crossrank.errors import CrossrankError
from crossrank.plugin.contract import RerankerInfo, Scores
from crossrank.plugin.optional import loaded

logger = logging.getLogger(__name__)

MOST_LANES = 8
"""Between two products a scorer holds Python's lock, for about a tenth of its time."""

Found: TypeAlias = Generator[tuple[range, Scores | CrossrankError], None, None]
Engine: TypeAlias = Callable[[BlockWork, Sequence[range], Resources], Found]


def engine(resources: Resources) -> Engine:
    """Return what scores the blocks of a run; both give the same bits on the same processor."""
    if resources.engine == "ray":
        from crossrank._engine.ray import score_on_ray

        return score_on_ray
    return score_here


def score_here(work: BlockWork, blocks: Sequence[range], resources: Resources) -> Found:
    """Yield every block with its scores, in order, scored by this process.

    Where portions are scored one at a time, the next one is read from disk meanwhile.
    """
    parts = [part for rows in blocks for part in work.portions[rows.start]]
    lanes, each = lanes_and_threads(work.stage.scorer.info, resources, len(parts))
    stored = work.context.gallery.is_stored(work.needs.candidates)
    ahead = ReadAhead(work.read, parts) if stored and lanes == 1 and len(parts) > 1 else None
    threads = TorchThreads(each)
    peak = PeakMemory()

    def score(rows: range) -> Scores | CrossrankError:
        block = work.read(rows) if ahead is None else ahead(rows)
        threads.limit()
        found = work.score(block)
        peak.sample()
        return found

    try:
        with NUMPY_THREADS.held_to(each), closing(run_blocks(score, parts, lanes)) as scored:
            for rows in blocks:
                yield rows, joined([next(scored)[1] for _ in work.portions[rows.start]])
    finally:
        threads.restore()
        if ahead is not None:
            ahead.close()
    if blocks:
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


@dataclass(slots=True)
class NumpyThreads:
    """Holds numpy's libraries to a number of threads, for the whole process.

    Runs may overlap, in a server: the last one to end sets what was there before the first began.
    """

    lock: Lock = field(default_factory=Lock)
    running: int = 0
    first: threadpool_limits | None = None

    @contextmanager
    def held_to(self, number: int) -> Iterator[None]:
        """Set the number for as long as the block takes."""
        with self.lock:
            limits = threadpool_limits(number)
            if self.running == 0:
                self.first = limits
            self.running += 1
        try:
            yield
        finally:
            with self.lock:
                self.running -= 1
                if self.running == 0 and self.first is not None:
                    self.first.restore_original_limits()


NUMPY_THREADS = NumpyThreads()


@dataclass(slots=True)
class TorchThreads:
    """Holds torch to a number of threads, once a scorer has imported it."""

    wanted: int
    before: int | None = None

    def limit(self) -> None:
        """Set the number, if torch is there and has another one."""
        torch = loaded("torch")
        if torch is None or torch.get_num_threads() == self.wanted:
            return
        if self.before is None:
            self.before = torch.get_num_threads()
        torch.set_num_threads(self.wanted)

    def restore(self) -> None:
        """Set the number that was there before."""
        torch = loaded("torch")
        if torch is not None and self.before is not None:
            torch.set_num_threads(self.before)
