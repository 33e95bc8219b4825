"""Parts of an item, and what speaks for a pair: the usual way to write `Reranker.explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._lists.evidence import Evidence, Link
from crossrank.plugin.contract import Block, Scores

Box: TypeAlias = tuple[float, float, float, float]
"""``x0, y0, x1, y1`` in [0, 1] of the original image."""

NAMES = ("token_text", "labels")
BOXES = ("token_boxes", "boxes")


class Part(NamedTuple):
    """One part of an item: a word, a patch, a region.

    Parameters
    ----------
    name
        What it says or shows; its number where that is not known.
    box
        Where it lies in the picture, None where that is not known.
    """

    name: str
    box: Box | None = None


def parts_of(
    collection: Collection,
    row: int,
    count: int,
    *,
    names: Sequence[str] = NAMES,
    boxes: Sequence[str] = BOXES,
) -> tuple[Part, ...]:
    """Return the parts of an item by name and box.

    Parameters
    ----------
    collection, row
        The item.
    count
        How many parts were compared.  A feature that has another number of entries speaks of
        other parts, and is passed over.
    names, boxes
        The features that may name the parts and say where they lie, in the order in which they
        are tried.
    """
    said = _first(collection, row, count, names)
    lie = _first(collection, row, count, boxes)
    return tuple(
        Part(
            str(part) if said is None else str(said[part]),
            None if lie is None else as_box(lie[part]),
        )
        for part in range(count)
    )


def own_tokens(collection: Collection, row: int) -> NDArray[np.int64]:
    """Return the places of an item's own tokens, without those of a model's prompt around it.

    The feature ``token_roles`` marks them by 1.  Tokens of a prompt count in scores; in heat maps
    and links they would stand for nothing.

    Parameters
    ----------
    collection, row
        The item, with ``tokens``.
    """
    count = len(collection["tokens"][row])
    if "token_roles" in collection and len(collection["token_roles"][row]) == count:
        own = np.flatnonzero(np.asarray(collection["token_roles"][row]))
        if len(own):
            return own
    return np.arange(count)


def grid_boxes(rows: int, columns: int, covered: tuple[float, float] = (1.0, 1.0)) -> NDArray[Any]:
    """Return the boxes of a grid of patches.

    Parameters
    ----------
    rows, columns
        How many patches.
    covered
        The part of the frame's width and height that they cover: less than 1 where the patch size
        does not divide the input size.

    Returns
    -------
    NDArray
        ``[rows · columns, 4]`` float64, row by row from the top left.
    """
    x = np.linspace(0.0, covered[0], columns + 1)
    y = np.linspace(0.0, covered[1], rows + 1)
    top, left = (part.ravel() for part in np.mgrid[:rows, :columns])
    return np.stack([x[left], y[top], x[left + 1], y[top + 1]], axis=1)


def as_box(corners: Iterable[Any]) -> Box:
    """Return four numbers as a box of Python floats, as JSON can hold it."""
    x0, y0, x1, y1 = (float(corner) for corner in corners)
    return x0, y0, x1, y1


def link(one: Part, other: Part, weight: float, *, asks: bool = True) -> Link:
    """Return the link between a part of a query and a part of a candidate.

    Parameters
    ----------
    one, other
        The parts.
    weight
        How strongly they agree.
    asks
        Whether `one` is the query's; False turns the two round, for scorers that think in words and
        patches whichever of them asks.
    """
    query, candidate = (one, other) if asks else (other, one)
    return Link(query.name, candidate.name, float(weight), query.box, candidate.box)


def evidence(
    block: Block, scores: Scores, links: Callable[[int], Iterable[Link]] = lambda pair: ()
) -> list[Evidence]:
    """Return the evidence for each pair of a block, as `Reranker.explain` does.

    Parameters
    ----------
    block, scores
        The block, and what `score` made of it.
    links
        The links of a pair by its number in ``block.pairs()``, none by default; it is not asked
        about pairs that were abstained from, which have none.
    """
    pairs = block.pairs()
    shown = []
    for pair, place in enumerate(zip(pairs.queries.tolist(), pairs.columns.tolist(), strict=True)):
        silent = scores.abstained is not None and bool(scores.abstained[place])
        shown.append(
            Evidence(
                block.queries.ids[place[0]],
                block.candidates.ids[int(pairs.candidates[pair])],
                float(scores.values[place]),
                () if silent else tuple(links(pair)),
            )
        )
    return shown


def _first(
    collection: Collection, row: int, count: int, features: Sequence[str]
) -> Sequence[Any] | None:
    for feature in features:
        if feature in collection and len(collection[feature][row]) == count:
            entries: Sequence[Any] = collection[feature][row]
            return entries
    return None


__all__ = [
    "Box",
    "Part",
    "as_box",
    "evidence",
    "grid_boxes",
    "link",
    "own_tokens",
    "parts_of",
]
