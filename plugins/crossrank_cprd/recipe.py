"""How a student is trained."""

from __future__ import annotations

from dataclasses import dataclass

from crossrank.errors import ParameterError, nearest
from crossrank.plugin.parameters import at_least, between, check, integer, positive

OBJECTIVES = ("none", "cprd", "kl", "listmle")


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides the weights, but the data and the teacher.

    The paper's θ, K, λ and τ are not known to us; the defaults were tuned on Flickr8k's ``val``.

    Parameters
    ----------
    objective
        What is added to the contrastive loss: ``"cprd"``; ``"kl"`` (distilled scores);
        ``"listmle"`` (all negatives ranked); ``"none"``.
    seed
        Of order, dropout and everything else that is drawn.
    epochs
        At most so many; one shows every text once, and every picture once a text.
    batch
        Pictures a step, each with one text.
    rate, decay
        Of AdamW, over a tenth of warming up and down along a cosine to 0.
    weight
        λ of the distillation.
    hardest
        K: how many hard negatives a query has.
    threshold
        θ, in standard deviations above the mean of the teacher's scores of the K negatives: those
        at or above it are valid.
    tau
        Temperature of the student in the distillation.
    teacher_tau
        Temperature of the teacher's scores, for ``"kl"``.
    contrast, contrast_tau
        Weight and temperature of the contrastive loss.
    soft, soft_tau
        The share of its target that goes to the batch's other pairs, by how alike their texts are,
        and the temperature of that.
    patience
        Stop after so many epochs without a better figure on the dev split.
    """

    objective: str = "cprd"
    seed: int = 0
    epochs: int = 8
    batch: int = 250
    rate: float = 3e-4
    decay: float = 0.05
    weight: float = 0.025
    hardest: int = 32
    threshold: float = -1.0
    tau: float = 0.05
    teacher_tau: float = 1.0
    contrast: float = 0.1
    contrast_tau: float = 0.05
    soft: float = 0.3
    soft_tau: float = 0.1
    patience: int = 100

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ParameterError(
                f"cprd: no objective {self.objective!r}{nearest(self.objective, OBJECTIVES)}"
            )
        check(
            "cprd",
            self,
            epochs=integer(1),
            batch=integer(1),
            hardest=integer(1),
            patience=integer(1),
            rate=positive,
            tau=positive,
            teacher_tau=positive,
            contrast_tau=positive,
            soft_tau=positive,
            soft=between(0, 1),
            decay=at_least(0),
            weight=at_least(0),
            contrast=at_least(0),
        )
