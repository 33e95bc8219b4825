"""What a result was made with: versions, host, seeds, fingerprints."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crossrank.plugin import optional, registry

PACKAGES = (
    "crossrank",
    "numpy",
    "scipy",
    "ir-measures",
    "networkx",
    "matplotlib",
    "Jinja2",
    "Pillow",
    "torch",
    "transformers",
    "spacy",
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter, where installed."""
    return {"python": platform.python_version(), **optional.versions(PACKAGES)}


def plugins(names: Iterable[str]) -> dict[str, str]:
    """Return who brings each reranker."""
    return {name: registry.origin("reranker", name) for name in sorted(set(names))}


def host() -> dict[str, Any]:
    """Return what the machine is."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "name": platform.node(),
        "processor": _processor(),
        "cores": usable,
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


def now() -> str:
    """Return the time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command() -> list[str]:
    """Return the command line."""
    return list(sys.argv)


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            )
    except (OSError, StopIteration):
        return platform.processor()
