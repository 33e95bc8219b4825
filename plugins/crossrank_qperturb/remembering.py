"""Perturbations that were computed, as many as a budget holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossrank_qperturb.matrices import Perturbation


@dataclass(slots=True)
class Remembered:
    """The perturbations of images, those not used for longest forgotten first.

    Parameters
    ----------
    budget
        The most bytes they may take.
    """

    budget: int
    _known: OrderedDict[Hashable, Perturbation] = field(default_factory=OrderedDict, init=False)
    _taken: int = field(default=0, init=False)

    def get(self, key: Hashable) -> Perturbation | None:
        """Return the perturbation of an image, or None where it is not known."""
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def put(self, key: Hashable, made: Perturbation) -> None:
        """Remember the perturbation of an image that is not known yet."""
        self._known[key] = made
        self._taken += made.nbytes
        while self._taken > self.budget:
            _, forgotten = self._known.popitem(last=False)
            self._taken -= forgotten.nbytes

    def clear(self, budget: int) -> None:
        """Forget everything, and have another budget."""
        self._known.clear()
        self._taken, self.budget = 0, budget
