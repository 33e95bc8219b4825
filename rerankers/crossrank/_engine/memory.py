"""How much memory this process holds, and how much it may."""

from __future__ import annotations

import os
import time
from pathlib import Path

STATM = Path("/proc/self/statm")
GROUPS = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")
SECONDS = 0.02
"""More often than this nobody looks: it costs a file that is opened."""


class PeakMemory:
    """The largest of several samples of anonymous and of mapped memory; Linux only."""

    def __init__(self) -> None:
        self.anonymous = self.mapped = 0
        self._next = 0.0

    def sample(self) -> None:
        """Look at what is held now, unless that was seen a moment ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + SECONDS
        sizes = resident()
        if sizes is not None:
            self.anonymous = max(self.anonymous, sizes[0])
            self.mapped = max(self.mapped, sizes[1])

    def __str__(self) -> str:
        if not self.anonymous:
            return "memory that this system does not tell of"
        sizes = (self.anonymous >> 20, self.mapped >> 20)
        return "at most {:,} MB of memory and {:,} MB of mapped files".format(*sizes)


def resident(statm: Path = STATM) -> tuple[int, int] | None:
    """Return the bytes of anonymous memory and of mapped files that lie in memory now.

    None where the system does not tell.
    """
    try:
        _, all_pages, shared, *_ = statm.read_bytes().split()
    except (OSError, ValueError):
        return None
    page = os.sysconf("SC_PAGE_SIZE")
    return (int(all_pages) - int(shared)) * page, int(shared) * page


def granted_memory(groups: Path = GROUPS, mount: Path = MOUNT) -> int | None:
    """Return how many bytes the control groups of this process may use, None for no limit.

    A container or a batch system sets one, where the machine has more.
    """
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = mount, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = mount / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = Path(path.lstrip("/"))
        # in a container the path may be that of the machine, which is not there
        for folder in (own, *own.parents):
            try:
                limits.append(int((root / folder / name).read_text(encoding="ascii")))
            except (OSError, ValueError):  # the root has none; "max" is none
                continue
    return min(limits, default=None)
