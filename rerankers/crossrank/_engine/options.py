"""What a caller may say of a run, in one record: memory, threads, a device, an engine."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypedDict

from crossrank._checking import MOST_AT_ONCE, check_count, checked, finite, text
from crossrank.errors import InputError, nearest
from crossrank.plugin.contract import Progress

POLICIES = ("raise", "base_order")
ENGINES = ("local", "ray")
DTYPES = ("float32", "bfloat16", "float16")
UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


class RunChanges(TypedDict, total=False):
    """The fields of `RunOptions` as keywords of a call."""

    memory_budget: int | str | None
    workers: int
    threads: int | None
    device: str
    dtype: str
    cache_folder: str | Path | None
    progress: Progress | bool | None
    on_error: str
    engine: str
    ray_address: str | None
    gpus_per_worker: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is computed; its result does not depend on it, but for rounding.

    None stands for the default, whatever that is.

    Parameters
    ----------
    memory_budget
        Bytes, or a str such as ``"2GB"``, that the run may hold besides input and result; a quarter
        of the machine's memory by default.
    workers
        How many blocks are scored at once; the result does not depend on it.
    threads
        Threads of numpy and torch in each of them; the cores divided among the workers by default.
    device, dtype
        For scorers that run models: a device of torch, and ``"float32"``, ``"bfloat16"`` or
        ``"float16"``.
    cache_folder
        Where scorers may keep what they prepared of a gallery.
    progress
        True for bars on standard error, or a callable ``(what, done, total)``.
    on_error
        What to do when a scorer fails on a block: ``"raise"``, or ``"base_order"``, by which its
        queries keep the order they had and the trace says why.
    engine
        ``"local"``: `workers` threads of this process; ``"ray"``: `workers` actors on a Ray
        cluster, with the same blocks and so the same bits on the same processor.
    ray_address
        Of a running cluster; by default one is started on this machine.
    gpus_per_worker
        What an actor takes of a GPU, such as 0.5.

    Raises
    ------
    InputError
        On counts below 1, memory that is no size, and a policy, engine or dtype that there is not.

    Examples
    --------
    >>> import crossrank as cr
    >>> options = cr.RunOptions(workers=2, memory_budget="2GB")
    """

    memory_budget: int | str | None = None
    workers: int = 1
    threads: int | None = None
    device: str = "cpu"
    dtype: str = "float32"
    cache_folder: str | Path | None = None
    progress: Progress | bool | None = None
    on_error: str = "raise"
    engine: str = "local"
    ray_address: str | None = None
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is None:
                object.__setattr__(self, field.name, field.default)
        for name in ("workers", "threads"):
            if (count := getattr(self, name)) is not None:
                # as an int: libraries of C take no int64 of numpy
                object.__setattr__(self, name, check_count("rerank", name, count, MOST_AT_ONCE))
        if self.memory_budget is not None:
            parse_bytes(self.memory_budget)
        for name, choices in (("on_error", POLICIES), ("engine", ENGINES), ("dtype", DTYPES)):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in choices:
                raise InputError(
                    f"rerank: {name} is {value!r:.80}; give one of {', '.join(choices)}"
                )
        checked("rerank", "device", self.device, text)
        if checked("rerank", "gpus_per_worker", self.gpus_per_worker, finite) < 0:
            raise InputError(
                f"rerank: gpus_per_worker is {self.gpus_per_worker!r}; give a number of at least 0"
            )
        if self.engine != "ray" and (self.ray_address is not None or self.gpus_per_worker):
            raise InputError(
                "rerank: ray_address and gpus_per_worker do nothing without engine='ray'; give it, "
                "or leave them out"
            )

    @classmethod
    def of(cls, who: str, options: RunOptions | None, changes: RunChanges) -> RunOptions:
        """Return the options of a call: a record, with what the call's keywords change.

        Raises
        ------
        InputError
            On a keyword that is no option of a run, naming the nearest.
        """
        if not isinstance(options, RunOptions | None):
            raise InputError(f"{who}: options is a {type(options).__name__}; give cr.RunOptions(…)")
        known = {field.name for field in fields(cls)}
        for name in changes.keys() - known:
            raise InputError(f"{who} has no option {name!r}{nearest(name, known)}")
        return replace(cls() if options is None else options, **changes)


def parse_bytes(size: int | str) -> int:
    """Return a size in bytes: ``"2GB"``, ``"512 MB"``, or a number; units are powers of 1024.

    Raises
    ------
    InputError
        If it is no positive size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", str(size).upper())
    if match is None:
        raise InputError(
            f"a size of {size!r:.80} cannot be read; give bytes or a str such as '2GB'"
        )
    unit = match[2] if match[2].endswith("B") or not match[2] else match[2] + "B"
    count = int(float(match[1]) * UNITS[unit])
    if count < 1:
        raise InputError(f"a size of {size!r} is too small")
    return count
