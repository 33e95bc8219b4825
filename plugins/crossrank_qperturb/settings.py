"""What may be chosen about a perturbation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.parameters import Check, boolean, check, finite, one_of

WEIGHTINGS = {
    "constant": (0.0, 1.0),
    "area": (1.0, 0.0),
    "area_minus_half": (1.0, -0.5),
    "minus_area": (-1.0, 0.0),
    "half_minus_area": (-1.0, 0.5),
}
"""An object weighs α · (slope · area + offset): these are slope and offset."""

PROJECTORS = ("pca", "reference_rows")
COVERAGES = ("exact", "reference")
SOME_COMPONENTS = Check(
    lambda n_pc: finite.accepts(n_pc) and (n_pc >= 1 if isinstance(n_pc, int) else 0 < n_pc < 1),
    "a share of the energy, a float in (0, 1), or a number of components, an int of at least 1",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How strongly, and along what, the queries are perturbed.

    Parameters
    ----------
    alpha
        The strength; 0 changes nothing, the published runs have 8.
    n_pc
        The principal components kept per object: a float in (0, 1) keeps those whose cumulated
        share of the energy is strictly below it, but at least one; an int keeps that many.
    weighting
        How an object weighs by the area it covers: one of `WEIGHTINGS`.
    projector
        ``"pca"``: U Uᵀ onto the span of the components.  ``"reference_rows"``: what the released
        code computes, which keeps *rows* of the matrix of eigenvectors; only to reproduce it.
    preserve_norm
        Whether a perturbed query is scaled back to its norm.
    coverage
        How far an object covers a patch: ``"exact"``, by area; ``"reference"``, as the released
        code draws it (see `reference_coverage`), with all keys in the Gram matrix, those of weight
        0 too: what `projector` ``"reference_rows"`` needs to give the released matrices, since the
        rows of vectors without energy are among them, which rounding turns.

    Raises
    ------
    ParameterError
        For anything else.
    """

    alpha: float = 8.0
    n_pc: float | int = 0.99
    weighting: str = "constant"
    projector: str = "pca"
    preserve_norm: bool = False
    coverage: str = "exact"

    def __post_init__(self) -> None:
        check(
            "qperturb",
            self,
            alpha=finite,
            n_pc=SOME_COMPONENTS,
            weighting=one_of(*WEIGHTINGS),
            projector=one_of(*PROJECTORS),
            coverage=one_of(*COVERAGES),
            preserve_norm=boolean,
        )

    def object_weights(self, areas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the weight of objects of these areas, in parts of the model's input."""
        slope, offset = WEIGHTINGS[self.weighting]
        return self.alpha * (slope * areas + offset)
