"""Queries, a gallery and lists for tests of pipelines."""

from __future__ import annotations

import numpy as np

import crossrank as cr
from toys.basic import collection

GALLERY = collection(12, "image", seed=1)


QUERIES = collection(5, "text", seed=2)


def some() -> cr.Candidates:
    similarity = np.random.default_rng(3).normal(size=(len(GALLERY), len(QUERIES)))
    return cr.Candidates.from_similarity(
        similarity, "t2i", image_ids=GALLERY.ids, text_ids=QUERIES.ids
    )
