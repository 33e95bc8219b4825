"""Where the features lie: in memory in any layout, or on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from crossrank._items.collection import Collection
from crossrank.testing._arrays import with_arrays
from crossrank.testing._case import RerankerCase
from crossrank.testing._differences import require_same_scores


def collections_on_disk_score_the_same(case: RerankerCase) -> None:
    """Expect the same scores of memory-mapped collections."""
    with tempfile.TemporaryDirectory() as folder:
        opened = []
        for name, collection in (("queries", case.queries), ("gallery", case.gallery)):
            collection.save(Path(folder, name))
            opened.append(Collection.open(Path(folder, name)))
        require_same_scores(
            case.start().scores(),
            case.start(queries=opened[0], gallery=opened[1]).scores(),
            "with collections opened from disk",
            "there, arrays are memory-mapped, and tuples come back as lists",
        )


def layout_of_arrays_does_not_matter(case: RerankerCase) -> None:
    """Expect the same scores of arrays that are not contiguous."""
    columnwise = case.start(
        queries=with_arrays(case.queries, np.asfortranarray),
        gallery=with_arrays(case.gallery, np.asfortranarray),
    )
    require_same_scores(
        case.start().scores(),
        columnwise.scores(),
        "with features stored column by column",
        "call numpy.ascontiguousarray before handing an array to a kernel",
    )
