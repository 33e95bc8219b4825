"""Where this user's caches lie."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Return ``$CROSSRANK_CACHE`` or the user's cache folder, with `name` in it.

    Parameters
    ----------
    name
        What is kept there: ``"scores"``, ``"features"``.

    Raises
    ------
    RuntimeError
        If no folder is named and the user has no home.
    """
    own = os.environ.get("CROSSRANK_CACHE")
    if own:
        return Path(own) / name
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "crossrank" / name
