"""For which queries does a plugin help?  Groups of queries, and the difference in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank.evaluation._significance import Significance, bootstrap_interval, cluster_sums
from crossrank_ablation.task import Task

LARGEST = 1e9
RANK_BINS = (
    (1, 1, "1"),
    (2, 5, "2–5"),
    (6, 10, "6–10"),
    (11, LARGEST, "11 and more"),
    (np.inf, np.inf, "not in the list"),
)
OBJECT_BINS = ((0, 0, "0"), (1, 1, "1"), (2, 2, "2"), (3, 4, "3–4"), (5, LARGEST, "5 and more"))
AREA_BINS = (
    (0, 0.01, "below 1 %"),
    (0.01, 0.05, "1–5 %"),
    (0.05, 0.2, "5–20 %"),
    (0.2, 2, "20 % and more"),
)
FEWEST_CLUSTERS = 5
"""A group of fewer gets no interval."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A group of queries, ``[N]`` bool, and what they share."""

    dimension: str
    label: str
    members: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SliceGain:
    """The mean difference between two runs in a group, and its interval if there is one."""

    dimension: str
    label: str
    queries: int
    difference: float
    low: float | None = None
    high: float | None = None


def slices_of(task: Task, base_ranks: Floats, objects_above: float) -> list[Slice]:
    """Return the groups that a task's features allow, empty ones left out.

    Its texts give lengths; the boxes of a query's picture, or of the first relevant one, give
    objects, counted from a score of `objects_above`.  `base_ranks` are ``[N]``, of the first
    relevant item.
    """
    found = _binned("base rank", base_ranks, RANK_BINS)
    lengths = _lengths(task)
    if lengths is not None:
        found += _quartiles("query length in words", lengths)
    objects = _objects(task, objects_above)
    if objects is not None:
        counts, areas = objects
        found += _binned("objects in the picture", counts, OBJECT_BINS)
        found += [
            Slice("smallest object", label, (areas >= low) & (areas < high))
            for low, high, label in AREA_BINS
        ]
    return [each for each in found if each.members.any()]


def slice_gains(
    differences: Sequence[Floats],
    slices: Sequence[Slice],
    clusters: NDArray[np.int64],
    significance: Significance,
) -> list[tuple[SliceGain, ...]]:
    """Return, per run, the mean difference of every group, from ``[N]`` differences of each run."""
    if not slices or not differences:
        return [() for _ in differences]
    members = np.array([each.members for each in slices], np.float64)
    counts = members.sum(axis=1)
    means = np.array([members @ each / counts for each in differences])
    lows = highs = np.full(means.shape, np.nan)
    if significance.resamples and len(np.unique(clusters)) > 1:
        sizes, _ = cluster_sums(members, clusters)
        sums = np.concatenate([cluster_sums(members * each, clusters)[0] for each in differences])
        how = significance
        low, high = bootstrap_interval(
            sums,
            np.tile(sizes, (len(differences), 1)),
            how.resamples,
            how.confidence,
            seed=how.seed,  # by percentiles: a slice may be too small for BCa
        )
        enough = np.tile((sizes > 0).sum(axis=1) >= FEWEST_CLUSTERS, (len(differences), 1))
        lows = np.where(enough, low.reshape(means.shape), np.nan)
        highs = np.where(enough, high.reshape(means.shape), np.nan)
    return [
        tuple(
            SliceGain(
                group.dimension,
                group.label,
                int(counts[place]),
                float(means[run, place]),
                None if np.isnan(lows[run, place]) else float(lows[run, place]),
                None if np.isnan(highs[run, place]) else float(highs[run, place]),
            )
            for place, group in enumerate(slices)
        )
        for run in range(len(differences))
    ]


def _binned(
    dimension: str, values: Floats, bins: Sequence[tuple[float, float, str]]
) -> list[Slice]:
    return [
        Slice(dimension, label, (values >= low) & (values <= high)) for low, high, label in bins
    ]


def _quartiles(dimension: str, values: Floats) -> list[Slice]:
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, (0.25, 0.5, 0.75), method="lower"))
    starts = [known.min(), *(edges + 1)]
    ends = [*edges, known.max()]
    return [
        Slice(
            dimension,
            f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}",
            (values >= low) & (values <= high),
        )
        for low, high in zip(starts, ends, strict=True)
        if low <= high
    ]


def _lengths(task: Task) -> Floats | None:
    """Return ``[N]`` words of each query, where queries are texts."""
    queries = task.queries
    if "text" in queries:
        counts = [len(str(text).split()) for text in queries["text"]]
    elif queries.modality == "text" and "token_text" in queries:
        counts = [len(words) for words in queries["token_text"]]
    else:
        return None
    rows = np.array(queries.rows(task.query_ids), np.int64)
    found = np.where(rows >= 0, np.append(np.array(counts, np.float64), np.nan)[rows], np.nan)
    return found if np.isfinite(found).any() else None


def _objects(task: Task, above: float) -> tuple[Floats, Floats] | None:
    """Return ``[N]`` objects of each query's picture and the area of the smallest, NaN for none."""
    if "boxes" in task.queries:
        pictures, ids = task.queries, list(task.query_ids)
    elif "boxes" in task.gallery:
        pictures = task.gallery
        ids = [
            next((id for id, value in task.qrels[query].items() if value > 0), "")
            for query in task.query_ids
        ]
    else:
        return None
    counts, areas = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    known: dict[int, tuple[float, float]] = {}
    for place, row in enumerate(pictures.rows(ids)):
        if row >= 0:
            if row not in known:
                known[row] = _picture(pictures, row, above)
            counts[place], areas[place] = known[row]
    return counts, areas


def _picture(pictures: Collection, row: int, above: float) -> tuple[float, float]:
    boxes = np.asarray(pictures["boxes"][row], np.float64).reshape(-1, 4)
    if "box_scores" in pictures:
        boxes = boxes[np.asarray(pictures["box_scores"][row]).reshape(-1) >= above]
    if not len(boxes):
        return 0.0, np.nan
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return float(len(boxes)), float(sides.prod(axis=1).min())
