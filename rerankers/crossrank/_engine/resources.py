"""What a run may use: memory, threads, a device, a cache folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import monotonic

from crossrank._engine.block import block_bytes
from crossrank._engine.memory import granted_memory
from crossrank._engine.options import RunOptions, parse_bytes
from crossrank._progress import as_progress, silent
from crossrank.plugin.contract import Progress


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use, as the engine reads it; see `RunOptions` for the meaning of each."""

    memory_budget: int = 1 << 30
    workers: int = 1
    threads: int = 1
    device: str = "cpu"
    dtype: str = "float32"
    cache_folder: Path | None = None
    progress: Progress = silent
    on_error: str = "raise"
    engine: str = "local"
    ray_address: str | None = None
    gpus_per_worker: float = 0.0

    @classmethod
    def of(cls, options: RunOptions) -> Resources:
        """Settle what the options leave open: memory, and the threads of a worker."""
        budget, threads = options.memory_budget, options.threads
        return cls(
            memory_budget=_quarter(int(monotonic())) if budget is None else parse_bytes(budget),
            workers=options.workers,
            threads=max(1, usable_cores() // options.workers) if threads is None else threads,
            device=options.device,
            dtype=options.dtype,
            cache_folder=None if options.cache_folder is None else Path(options.cache_folder),
            progress=as_progress(options.progress),
            on_error=options.on_error,
            engine=options.engine,
            ray_address=options.ray_address,
            gpus_per_worker=options.gpus_per_worker,
        )

    def within_budget(self, workers: int | None = None) -> int:
        """Return how many of some workers' blocks fit the memory budget together."""
        wanted = self.workers if workers is None else workers
        return min(wanted, self.memory_budget // max(1, block_bytes(self.memory_budget)))


def usable_cores() -> int:
    """Return how many cores this process may use; ``OMP_NUM_THREADS`` may ask for fewer."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores or 1, int(wish)) if wish.isdecimal() and int(wish) else cores or 1


def quarter_of_memory() -> int:
    """Return a quarter of the memory that this process may use, or 1 GB where nothing tells."""
    granted = granted_memory()
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        machine = 4 << 30
    return (machine if granted is None else min(machine, granted)) // 4


@lru_cache(maxsize=1)
def _quarter(second: int) -> int:
    """Return `quarter_of_memory`, looked up once a second: a short call would feel the files."""
    return quarter_of_memory()
