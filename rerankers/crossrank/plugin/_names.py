"""Names that other packages lend to ``crossrank``, such as ``crossrank.ablate``.

The entry points of the group ``crossrank.names`` say where each lies, as ``package:name``; it is
imported when it is first used.
"""

from __future__ import annotations

from typing import Any

from crossrank.plugin._entry_points import guarded, only, origin, points

GROUP = "crossrank.names"


def lent_names() -> list[str]:
    """Return all of them, without importing any."""
    return sorted({point.name for point in points(GROUP)})


def lent(name: str) -> Any:
    """Return what a name stands for; an AttributeError says that nobody lends it."""
    # the import system and copy ask for many of these, which nobody lends
    declared = [] if name.startswith("_") else [p for p in points(GROUP) if p.name == name]
    if not declared:
        raise AttributeError(f"module 'crossrank' has no attribute {name!r}")
    point = only("name", name, declared)
    return guarded(f"the name {name!r} of {origin(point)}", point.load)
