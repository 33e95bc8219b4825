"""Runs and qrels in the plain dictionaries that tools of evaluation are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Run = Mapping[str, Mapping[str, float]]


def falling(run: Run) -> dict[str, dict[str, float]]:
    """Return a run, best first, whose scores fall strictly even when read as float32.

    Where two scores tie, tools differ in which comes first: by id, or by the order of insertion.
    """
    return {query: _falling(scores) for query, scores in run.items()}


def _falling(scores: Mapping[str, float]) -> dict[str, float]:
    fallen: dict[str, float] = {}
    previous = np.float32(np.inf)
    for id, score in scores.items():
        previous = min(np.float32(score), np.nextafter(previous, np.float32(-np.inf)))
        fallen[id] = float(previous)
    return fallen


def judged(qrels: Mapping[Any, Any]) -> dict[str, dict[str, int]]:
    """Return qrels as grades: of one id, several ids, or a mapping of grades per query."""
    return {str(query): _grades(relevant) for query, relevant in qrels.items()}


def _grades(relevant: str | Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    if isinstance(relevant, str):
        return {relevant: 1}
    if isinstance(relevant, Mapping):
        return {str(id): int(grade) for id, grade in relevant.items()}
    return {str(id): 1 for id in relevant}
