"""How many batches are scored at once, and with how many threads each."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence

import crossrank as cr

MOST_WORKERS = 4
"""By default: each holds a batch in memory."""

NAME = "OMP_NUM_THREADS"


def share_cores(
    stages: Sequence[cr.Stage],
    workers: int | None = None,
    cores: int | None = None,
    environment: MutableMapping[str, str] = os.environ,
) -> int:
    """Return how many workers there are, and leave in the environment each one's share of threads.

    Two batches with a thread each take less time than one after the other with two: small
    products do not fill two cores.  What imports torch later starts as many threads, and so does
    each run of the library: to set the number while another worker computes would come too late.

    Parameters
    ----------
    stages
        Of the server; one that is not thread-safe gets a single worker.
    workers
        What was asked for; None to choose.
    cores
        That this process may use; None to ask the machine.
    environment
        Where the number of threads stands, or is left.
    """
    own = _cores() if cores is None else cores
    said = environment.get(NAME, "")
    threads = int(said) if said.isdigit() and int(said) > 0 else None
    if workers is None:
        safe = all(stage.scorer.info.thread_safe for stage in stages)
        workers = min(MOST_WORKERS, max(1, own // (threads or 1))) if safe else 1
    if threads is None:
        environment[NAME] = str(max(1, own // workers))
    return workers


def _cores() -> int:
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return found or 1
