"""The losses of reinforced training, as pure functions of embeddings (ALGORITHMS: MobileCLIP).

A batch pairs row i of the pictures with row i of the texts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from crossrank.errors import ParameterError
from crossrank.plugin.parameters import between, checked

Pair = tuple[Tensor, Tensor, float]
"""Pictures ``[B, D]``, texts ``[B, D]``, both unit rows, and the scale κ."""


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor | float) -> Tensor:
    """Return CLIP's loss: ½ [CE over texts + CE over images] of ``κ · images · textsᵀ``.

    Parameters
    ----------
    images, texts
        ``[B, D]`` unit rows.
    scale
        κ, the inverse temperature.
    """
    logits = scale * images @ texts.T
    right = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2


def distillation_loss(
    teachers: Sequence[Pair],
    images: Tensor,
    texts: Tensor,
    scale: Tensor | float,
    average: str = "losses",
) -> Tensor:
    """Return how far a student's softmax over the batch is from its teachers'.

    ``½ [KL(S(T) ‖ S(A)) + KL(S(Tᵀ) ‖ S(Aᵀ))]`` with S the softmax of rows, A the student's scaled
    similarities and T a teacher's: the mean over teachers.

    Parameters
    ----------
    teachers
        Per teacher its embeddings of the same batch, and its own κ; their sizes may differ.
    images, texts, scale
        The student's.
    average
        ``"losses"``: the mean of the divergences; ``"softmax"``: the divergence from the mean of
        the teachers' softmaxes.  They differ by a constant, and have the same gradient.

    Raises
    ------
    ParameterError
        Without a teacher, for batches of other lengths, or another average.
    """
    if not teachers:
        raise ParameterError("reinforce: there is no teacher to distil from")
    if average not in ("losses", "softmax"):
        raise ParameterError(f"reinforce: average is {average!r:.80}; give 'losses' or 'softmax'")
    for shown, said, _ in teachers:
        if len(shown) != len(images) or len(said) != len(texts):
            raise ParameterError(
                f"reinforce: a teacher has {len(shown)} pictures and {len(said)} texts, the "
                f"student {len(images)} and {len(texts)}; give them the same batch"
            )
    student = scale * images @ texts.T
    both = []
    for turned in (False, True):
        logits = student.T if turned else student
        predicted = functional.log_softmax(logits, dim=1)
        targets = []
        for shown, said, factor in teachers:
            own = (factor * shown @ said.T).to(predicted.dtype)
            targets.append(functional.log_softmax(own.T if turned else own, dim=1))
        if average == "softmax":
            targets = [torch.stack(targets).logsumexp(dim=0) - math.log(len(targets))]
        parts = [(each.exp() * (each - predicted)).sum(dim=1).mean() for each in targets]
        both.append(torch.stack(parts).mean())
    return (both[0] + both[1]) / 2


def reinforced_loss(
    teachers: Sequence[Pair],
    images: Tensor,
    texts: Tensor,
    scale: Tensor | float,
    weight: float,
    average: str = "losses",
) -> Tensor:
    """Return ``(1 − λ) · CLIP + λ · distillation``.

    Parameters
    ----------
    weight
        λ in [0, 1]; at 0 no teacher is looked at, at 1 the pairs' own labels are not.
    teachers, images, texts, scale, average
        See `distillation_loss`.

    Raises
    ------
    ParameterError
        If λ is out of range, and as `distillation_loss`.
    """
    checked("reinforce", "the weight", weight, between(0, 1))
    if weight == 0.0:
        return clip_loss(images, texts, scale)
    distilled = distillation_loss(teachers, images, texts, scale, average)
    if weight == 1.0:
        return distilled
    return (1 - weight) * clip_loss(images, texts, scale) + weight * distilled
