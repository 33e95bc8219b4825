"""Where this user's caches lie."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path


def user_cache(name: str) -> Path:
    """Return ``$CROSSRANK_CACHE`` or the user's cache folder, with `name` in it (``"scores"``).

    It is a RuntimeError if no folder is named and the user has no home.
    """
    return _folder(name, *map(os.environ.get, ("CROSSRANK_CACHE", "XDG_CACHE_HOME", "HOME")))


@lru_cache(maxsize=16)
def _folder(name: str, own: str | None, caches: str | None, home: str | None) -> Path:
    """Return the folder that the environment means; `home` is read by `Path.home`."""
    if own:
        return Path(own) / name
    return (Path(caches) if caches else Path.home() / ".cache") / "crossrank" / name
