"""A learned fusion: what was fitted, applied to results that hold the same stages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import InputError, ParameterError, StoreError
from crossrank.plugin.files import atomic_bytes, read_json
from crossrank.plugin.parameters import check, one_of
from crossrank_fuse.features import Floats, feature_names, features
from crossrank_fuse.lambdamart import lambdamart_scores

FORMAT = "crossrank fusion 1"
METHODS = ("weights", "lambdamart")


@dataclass(frozen=True, slots=True)
class LearnedFusion:
    """One rule for the scores of all stages.

    Parameters
    ----------
    method
        ``"weights"`` or ``"lambdamart"``.
    names
        The base and the stages, in order.
    weights
        One for each, of z-scores per list; empty for LambdaMART.
    model
        LightGBM's text; empty for weights.

    Raises
    ------
    ParameterError
        If these do not go together.
    """

    method: str
    names: tuple[str, ...]
    weights: tuple[float, ...] = ()
    model: str = ""

    def __post_init__(self) -> None:
        check("fuse", self, method=one_of(*METHODS))
        fits = len(self.weights) == len(self.names) and bool(np.isfinite(self.weights).all())
        if not (fits if self.method == "weights" else bool(self.model)):
            raise ParameterError(
                f"fuse: {len(self.weights)} finite weights for {len(self.names)} columns, or no "
                "model; fit it again"
            )

    def scores(self, rankings: cr.Rankings) -> Floats:
        """Return ``[Q, K]`` fused scores in the places of the rankings.

        Raises
        ------
        InputError
            If they hold other stages than those it was fitted on.
        """
        if feature_names(rankings) != self.names:
            raise InputError(
                f"fuse: fitted on {', '.join(self.names)}, but the results hold "
                f"{', '.join(feature_names(rankings))}; give results of the same stages"
            )
        columns = features(rankings)
        if self.method == "weights":
            return np.asarray(columns @ np.array(self.weights), np.float64)
        return lambdamart_scores(self.model, columns, rankings.mask)

    def apply(self, rankings: cr.Rankings) -> cr.Rankings:
        """Return rankings in the order of the fused scores, equal ones as they were."""
        return reordered(rankings, self.scores(rankings))

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        record = {"format": FORMAT, **{name: getattr(self, name) for name in self.__slots__}}
        atomic_bytes(Path(path), json.dumps(record).encode())

    @classmethod
    def open(cls, path: str | Path) -> LearnedFusion:
        """Read what `save` wrote.

        Raises
        ------
        StoreError
            If the file is missing, truncated or foreign.
        """
        try:
            record: dict[str, Any] = read_json(Path(path))
            if record["format"] != FORMAT:
                raise ValueError(f"its format is {record['format']!r}")
            return cls(
                record["method"],
                tuple(record["names"]),
                tuple(map(float, record["weights"])),
                str(record["model"]),
            )
        except (OSError, ValueError, KeyError, TypeError, ParameterError) as error:
            raise StoreError(
                f"{path} holds no fusion that can be read: {error}; make it with crossrank fuse"
            ) from error


def reordered(rankings: cr.Rankings, scores: Floats) -> cr.Rankings:
    """Return rankings by other scores ``[Q, K]``; equal ones keep their order."""
    order = np.argsort(np.where(rankings.mask, -scores, np.inf), axis=1, kind="stable")

    def moved(array: Any) -> Any:
        return None if array is None else np.take_along_axis(array, order, axis=1)

    return replace(
        rankings,
        index=moved(rankings.index),
        final=moved(np.where(rankings.mask, scores, np.nan)),
        base_scores=moved(rankings.base_scores),
        base_ranks=moved(rankings.base_ranks),
        places=moved(rankings.places),
        stages=tuple(stage.arranged(np.arange(len(rankings)), order) for stage in rankings.stages),
        probabilities=None,
        confidences=None,
    )
