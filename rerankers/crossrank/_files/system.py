"""Files that systems put into every folder that somebody looks at."""

from __future__ import annotations

NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir"})
"""In lower case; what begins with a dot (``.DS_Store``, ``._name``) besides."""


def is_of_system(name: str) -> bool:
    """Tell whether a file in a folder of ours is nobody's doing, and is left alone."""
    return name.startswith(".") or name.lower() in NAMES
