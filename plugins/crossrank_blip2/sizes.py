"""Sizes as people write them."""

from __future__ import annotations

import re

from crossrank.errors import ParameterError

UNITS = {"": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def parse_bytes(size: int | str) -> int:
    """Return a size in bytes: ``"10GB"``, ``"512 MB"``, or a number; units are powers of 1024."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]B)?", str(size).strip().upper())
    if found is None or isinstance(size, bool):
        raise ParameterError(
            f"blip2: cache_budget is {size!r:.80}; give bytes, or a str such as '10GB'"
        )
    return int(float(found[1]) * UNITS[found[2] if found[2] is not None else ""])
