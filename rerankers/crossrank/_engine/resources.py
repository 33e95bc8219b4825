"""What a run may use: memory, threads, a device, a cache folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from crossrank._engine.block import block_bytes
from crossrank._engine.memory import granted_memory
from crossrank._lists.base_lists import check_positive
from crossrank._lists.fusion import check_finite
from crossrank._progress import as_progress, silent
from crossrank.errors import InputError
from crossrank.plugin.contract import Progress

POLICIES = ("raise", "base_order")
ENGINES = ("local", "ray")
DTYPES = ("float32", "bfloat16", "float16")
UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use; see `Pipeline.rerank` for the meaning of each."""

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
    def of(
        cls,
        memory_budget: int | str | None = None,
        workers: int = 1,
        threads: int | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        cache_folder: str | Path | None = None,
        progress: Progress | bool | None = None,
        on_error: str = "raise",
        engine: str = "local",
        ray_address: str | None = None,
        gpus_per_worker: float = 0.0,
    ) -> Resources:
        """Read the resources as callers write them.

        Raises
        ------
        InputError
            On counts below 1, memory that is no size, and a policy that there is not.
        """
        check_positive("rerank", "workers", workers)
        share = max(1, usable_cores() // workers)
        if threads is not None:
            check_positive("rerank", "threads", threads)
        for name, value, choices in (
            ("on_error", on_error, POLICIES),
            ("engine", engine, ENGINES),
            ("dtype", dtype, DTYPES),
        ):
            if value not in choices:
                raise InputError(f"rerank: {name} is {value!r}; give one of {', '.join(choices)}")
        if check_finite("rerank", "gpus_per_worker", gpus_per_worker) < 0:
            raise InputError(
                f"rerank: gpus_per_worker is {gpus_per_worker!r}; give a number of at least 0"
            )
        if engine != "ray" and (ray_address is not None or gpus_per_worker):
            raise InputError(
                "rerank: ray_address and gpus_per_worker do nothing without engine='ray'; give it, "
                "or leave them out"
            )
        granted = quarter_of_memory() if memory_budget is None else parse_bytes(memory_budget)
        return cls(
            memory_budget=granted,
            workers=workers,
            threads=share if threads is None else threads,
            device=device,
            dtype=dtype,
            cache_folder=None if cache_folder is None else Path(cache_folder),
            progress=as_progress(progress),
            on_error=on_error,
            engine=engine,
            ray_address=ray_address,
            gpus_per_worker=gpus_per_worker,
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


def parse_bytes(size: int | str) -> int:
    """Return a size in bytes: ``"2GB"``, ``"512 MB"``, or a number; units are powers of 1024.

    Raises
    ------
    InputError
        If it is no positive size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", str(size).upper())
    if match is None:
        raise InputError(f"a size of {size!r} cannot be read; give bytes or a str such as '2GB'")
    unit = match[2] if match[2].endswith("B") or not match[2] else match[2] + "B"
    count = int(float(match[1]) * UNITS[unit])
    if count < 1:
        raise InputError(f"a size of {size!r} is too small")
    return count
