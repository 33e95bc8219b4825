"""The parameters of the reranker ``hosa``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import at_least, check, finite, integer, none, one_of, path

SHIPPED = Path(__file__).with_name("hosa_lite.safetensors")
"""Heads over the tokens of ``lite``, see MODEL_CARD.md."""


@dataclass(frozen=True, slots=True)
class HosaParameters:
    """What may be chosen; the defaults are of Flickr8k's val split with ``lite`` (docs/hosa.md).

    Parameters
    ----------
    beta
        Weight of the reconstruction; 0 leaves it out, and its cost.
    gamma
        Weight of the inner product of the embeddings; 0 leaves it out, and the feature.
    fold
        The length n3 of a tube: a token of D numbers becomes ``[n1, n3]``, ``D = n1 · n3``, row by
        row.  n1 must exceed the number of tokens a candidate has.
    ridge
        λ relative to ``‖V‖² / R``, the mean over Fourier slices of ``trace(VᴴV) / R``.
    reduction
        ``"mean"`` or, as in the paper, ``"sum"`` over the query's tokens of each one's best
        match.  A sum grows with the number of tokens.
    interaction
        A global vector as one more token on both sides: ``"mean"`` of the tokens, or the
        ``"embedding"``, where it is as long as a token.
    heads
        Trained heads that the tokens go through first: ``"lite"`` for those that ship, which read
        the tokens of the encoder ``lite``, or a file of ``research/train_hosa.py``; None for none.
    """

    beta: float = 0.5
    gamma: float = 0.5
    fold: int = 2
    ridge: float = 100.0
    reduction: str = "mean"
    interaction: str = "none"
    heads: str | Path | None = None

    @property
    def n3(self) -> int:
        """The fold that is used: without a reconstruction nothing need be folded."""
        return 1 if self.beta == 0 else self.fold

    @property
    def file(self) -> Path | None:
        """The file of the heads, None for none."""
        if self.heads is None:
            return None
        return SHIPPED if self.heads == "lite" else Path(self.heads)

    def __post_init__(self) -> None:
        check(
            "hosa",
            self,
            beta=finite,
            gamma=finite,
            ridge=at_least(0),
            fold=integer(1),
            reduction=one_of("mean", "sum"),
            interaction=one_of("none", "mean", "embedding"),
            heads=path | none,
        )
