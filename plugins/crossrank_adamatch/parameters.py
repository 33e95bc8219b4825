"""The parameters of the reranker ``adamatch``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import Check, between, check, each, integer, none, one_of, path
from crossrank_adamatch.grids import Grid

SHIPPED = Path(__file__).with_name("adamatch_lite.safetensors")
PAIR = Check(lambda value: len(value) == 2, "two of them, height and width")


@dataclass(frozen=True, slots=True)
class AdaMatchParameters:
    """What may be chosen; the defaults need no weights.

    Parameters
    ----------
    sizes
        The windows' scales: a window is s×s cells, and 1 stands for the cells themselves.  A
        picture goes without the sizes that are larger than its grid.  Not read with `weights`.
    weights
        The file of a trained network, whose adaptive patches are scored in place of windows:
        ``"lite"`` for the one that ships, which reads the tokens of the encoder ``lite``, or what
        ``research/train_adamatch.py`` wrote.  None for windows.
    prune
        Leave out a window whose cosine with one that is kept is at least this, in the order of
        `sizes`; None keeps all.  What is left out costs nothing when scoring.
    mode
        ``"t2i"``: s^T, the mean over words of the best patch; ``"i2t"``: s^I, the mean over patches
        of the best word; ``"auto"``: the first for text queries and the second for image queries,
        as they are trained; ``"both"``: the mean of the two.
    image_queries
        With `weights`, whether an image query's mean runs over its adaptive ``"patches"``, as in
        the paper, or over its ``"cells"`` as they lie, which only a residual network has in the
        words' space: patches crowd where things are, and are no even account of the picture.
        ``"auto"``: cells with a residual network, else patches.
    grid
        Height and width in cells, where the images have no ``token_boxes`` and their grid is not
        square; None to find it.
    k
        For evidence: how many words each patch asks for, and how many patches each word.
    """

    sizes: Sequence[int] = (1, 2)
    weights: str | Path | None = None
    prune: float | None = None
    mode: str = "auto"
    image_queries: str = "auto"
    grid: Grid | None = None
    k: int = 3

    def __post_init__(self) -> None:
        check(
            "adamatch",
            self,
            sizes=each(integer(1), 1),
            weights=path | none,
            prune=between(-1, 1) | none,
            mode=one_of("auto", "t2i", "i2t", "both"),
            image_queries=one_of("auto", "cells", "patches"),
            k=integer(1),
            grid=(each(integer(1)) & PAIR) | none,
        )
        # a list, as TOML has it, means the same as a tuple and gives the same fingerprint
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))
        if self.grid is not None:
            height, width = self.grid
            object.__setattr__(self, "grid", (int(height), int(width)))

    @property
    def file(self) -> Path | None:
        """The file of the network, None for windows."""
        if self.weights is None:
            return None
        return SHIPPED if self.weights == "lite" else Path(self.weights)
