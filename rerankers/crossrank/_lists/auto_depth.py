"""A depth for each query: deep where the scores so far hardly tell the candidates apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import at_least, check
from crossrank._lists.normalise import zscore
from crossrank.errors import ParameterError, nearest

RULES = ("margin", "disagreement")
TOP = 10
"""How many of the best the stages may disagree on."""


@dataclass(frozen=True, slots=True)
class AutoDepth:
    """The least of some depths that is enough for a query.

    Parameters
    ----------
    choices
        Rising; the last one where no other is enough.
    threshold
        ``margin``: depth K is enough if the candidate after it lies at least so many standard
        deviations of the list's scores behind the best.  ``disagreement``: if at most this share of
        the ten best so far came from beyond K in the base order.
    by
        ``"margin"`` or ``"disagreement"``; before the first stage nothing disagrees.

    Raises
    ------
    ParameterError
        On choices that do not rise, another rule, or a threshold that is negative or not finite.

    Notes
    -----
    The default threshold is where to begin, not what fits: `crossrank_ablation.depths.fit_depth`
    chooses one on judged lists.
    """

    choices: tuple[int, ...] = (10, 32, 100)
    threshold: float = 2.5
    by: str = "margin"

    def __post_init__(self) -> None:
        given = tuple(self.choices) if isinstance(self.choices, tuple | list) else ()
        whole = all(isinstance(each, int) and not isinstance(each, bool) for each in given)
        rises = whole and given and given[0] >= 1 and list(given) == sorted(set(given))
        if not rises:
            raise ParameterError(
                f"AutoDepth: choices are {self.choices!r:.80}; give depths that rise, such as "
                "(10, 32, 100)"
            )
        object.__setattr__(self, "choices", given)
        if not isinstance(self.by, str) or self.by not in RULES:
            raise ParameterError(f"AutoDepth: no rule {self.by!r:.80}{nearest(self.by, RULES)}")
        check("AutoDepth", self, threshold=at_least(0))

    @property
    def deepest(self) -> int:
        """The last choice."""
        return self.choices[-1]

    def of(
        self,
        mask: NDArray[np.bool_],
        scores: NDArray[np.float64],
        ranks: NDArray[np.int64],
        base_ranks: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return ``[Q]`` the depth of each list.

        Parameters
        ----------
        mask, scores, ranks, base_ranks
            ``[Q, K]`` the taken places, the scores and ranks so far, and those of the base.
        """
        depths = np.full(len(mask), self.choices[-1], np.int64)
        for choice in reversed(self.choices[:-1]):
            enough = (
                _margin(mask, scores, ranks, choice) >= self.threshold
                if self.by == "margin"
                else _disagreement(mask, ranks, base_ranks, choice) <= self.threshold
            )
            depths[enough] = choice
        return depths


def _margin(
    mask: NDArray[np.bool_],
    scores: NDArray[np.float64],
    ranks: NDArray[np.int64],
    depth: int,
) -> NDArray[np.float64]:
    """Return ``[Q]`` how far the candidate after a depth is behind the best; ∞ without one."""
    z = np.where(mask, zscore(scores, mask), -np.inf)
    best = np.where(mask & (ranks == 1), z, -np.inf).max(axis=1, initial=-np.inf)
    after = np.where(mask & (ranks == depth + 1), z, -np.inf).max(axis=1, initial=-np.inf)
    there = np.isfinite(after)
    return np.where(there, best - np.where(there, after, 0.0), np.inf)


def _disagreement(
    mask: NDArray[np.bool_],
    ranks: NDArray[np.int64],
    base_ranks: NDArray[np.int64],
    depth: int,
) -> NDArray[np.float64]:
    """Return ``[Q]`` the share of the best so far that the base order has beyond a depth."""
    top = mask & (ranks <= TOP)
    share: NDArray[np.float64] = (top & (base_ranks > depth)).sum(axis=1) / np.maximum(
        top.sum(axis=1), 1
    )
    return share
