"""What a killed call leaves beside a folder: shards to go on from, or shards of no more use."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from crossrank._files.atomic import beside
from crossrank._files.holding import holding
from crossrank._items.collection import Collection
from crossrank.errors import CrossrankError


def partial_of(out: Path) -> Path:
    """Return where the shards of a collection lie until it is complete."""
    return beside(out, ".partial")


def remove_used(out: Path) -> bool:
    """Remove shards of which the collection in `out` has every item and feature; tell if any were.

    They are left by a call that was killed when the collection had appeared.  Shards that a call
    can go on from, or works on, stay.
    """
    partial = partial_of(out)
    if not partial.is_dir():
        return False
    with suppress(OSError), holding(partial) as held:
        if held is not False and _has_all(Collection.open(out), partial):
            shutil.rmtree(partial, ignore_errors=True)
            return True
    return False


def _has_all(whole: Collection, partial: Path) -> bool:
    """Tell whether a collection has everything that shards have; a damaged one has nothing."""
    ids, features = set(whole.ids), set(whole.features)
    for shard in partial.iterdir():
        with suppress(CrossrankError):
            part = Collection.open(shard)
            if not (features.issuperset(part.features) and ids.issuperset(part.ids)):
                return False
    return True
