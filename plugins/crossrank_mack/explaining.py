"""What `MackReranker.explain` shows of one pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_knowledge import KnowledgeBank

Box = tuple[float, float, float, float]


def concept_text(bank: KnowledgeBank, noun: int, adjective: int) -> str:
    """Return a concept as people say it: ``"red ball"``."""
    if noun < 0:
        return "(no known noun)"
    return f"{bank.words[adjective]} {bank.words[noun]}" if adjective >= 0 else bank.words[noun]


def links(
    cosines: NDArray[np.float32],
    words: Sequence[str],
    boxes: Sequence[Box | None],
    names: Sequence[str],
    pooling: str,
    text_first: bool,
) -> tuple[cr.Link, ...]:
    """Return the links whose weights average to the score (with ``k_max`` 1).

    Parameters
    ----------
    cosines
        ``[R, L]``.
    words
        ``[L]`` the concepts.
    boxes, names
        ``[R]`` where each region lies and what it is called.
    pooling
        ``"t2i"``: the best region of each word; ``"i2t"``: the best word of each region.
    text_first
        Whether the text is the query.
    """
    if pooling == "t2i":
        chosen = [(int(cosines[:, word].argmax()), word) for word in range(len(words))]
    else:
        chosen = [(region, int(cosines[region].argmax())) for region in range(len(boxes))]
    found = []
    for region, word in chosen:
        weight = float(cosines[region, word])
        if text_first:
            link = cr.Link(words[word], names[region], weight, candidate_box=boxes[region])
        else:
            link = cr.Link(names[region], words[word], weight, query_box=boxes[region])
        found.append(link)
    return tuple(found)


def boxes_of(images: cr.Collection, row: int, count: int) -> list[Box | None]:
    """Return the boxes of an image's regions, or None for each where they are not known."""
    for feature in ("boxes", "token_boxes"):
        if feature in images and len(images[feature][row]) == count:
            return [_box(corners) for corners in images[feature][row].tolist()]
    return [None] * count


def names_of(images: cr.Collection, row: int, count: int) -> list[str]:
    """Return what the regions of an image are called: a detector's labels, or their numbers."""
    if "labels" in images and len(images["labels"][row]) == count:
        return [str(label) for label in images["labels"][row]]
    return [str(region) for region in range(count)]


def _box(corners: list[float]) -> Box:
    x0, y0, x1, y1 = corners
    return x0, y0, x1, y1
