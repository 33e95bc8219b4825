"""What a student sees of an item's tokens: their mean, and how well each anchor is matched.

An anchor is a unit vector in the space of the tokens, such as what many captions' words lie
around.  Late interaction looks for the best token of an image for every word of a text; the best
token for every *anchor* is what remains of that when image and text must not meet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError

CHUNK = 256
ROUNDS = 4
SAMPLE = 30_000

Floats = NDArray[np.float32]


def summaries(
    items: cr.Collection, anchors: Floats, rows: NDArray[np.int64] | None = None
) -> Floats:
    """Return ``[N, D + M]``: the mean of the tokens, then each anchor's best product with one.

    Parameters
    ----------
    items
        With ``tokens``, ragged ``[L_n, D]``; read in chunks.
    anchors
        ``[M, D]`` unit rows.
    rows
        Which items; all by default.  An item without tokens is summarised by zeros.
    """
    chosen = np.arange(len(items)) if rows is None else rows
    tokens: cr.Ragged = items["tokens"]
    count, size = anchors.shape
    made = np.zeros((len(chosen), size + count), np.float32)
    for start in range(0, len(chosen), CHUNK):
        taken = tokens.take(chosen[start : start + CHUNK])
        some = np.flatnonzero(taken.lengths)
        if not len(some):
            continue
        flat, starts = np.asarray(taken.flat, np.float32), taken.offsets[some]
        made[start + some, :size] = np.add.reduceat(flat, starts) / taken.lengths[some, None]
        made[start + some, size:] = np.maximum.reduceat(flat @ anchors.T, starts)
    return made


def find_anchors(texts: cr.Collection, count: int, seed: int = 0) -> Floats:
    """Return ``[M, D]`` unit rows around which the words of many texts lie (spherical k-means).

    Parameters
    ----------
    texts
        With ``tokens``; about 30,000 tokens, evenly spaced, are looked at.
    count
        M.
    seed
        Of the tokens it starts from.

    Raises
    ------
    InputError
        If there are fewer tokens than anchors.
    """
    flat = texts["tokens"].flat
    tokens = np.asarray(flat[:: max(1, len(flat) // SAMPLE)], np.float32)
    if len(tokens) < count:
        raise InputError(f"cprd: {count} anchors need as many tokens; the texts have {len(tokens)}")
    anchors = tokens[np.random.default_rng(seed).choice(len(tokens), count, replace=False)]
    for _ in range(ROUNDS):
        nearest = (tokens @ anchors.T).argmax(axis=1)
        sums = 1e-6 * anchors  # an anchor without tokens stays where it is
        np.add.at(sums, nearest, tokens)
        anchors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return np.ascontiguousarray(anchors, np.float32)
