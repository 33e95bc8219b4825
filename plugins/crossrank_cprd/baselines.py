"""What CPRD is compared with: no distillation, distilled scores, and every negative ranked."""

from __future__ import annotations

import torch
from torch import Tensor

from crossrank_cprd.loss import TEMPERATURE, cprd_loss


def kl_loss(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    tau: float = TEMPERATURE,
    teacher_tau: float = 1.0,
) -> Tensor:
    """Distil the scores themselves: ``KL(softmax(t / τ_t) ‖ softmax(s / τ))`` per row.

    Parameters
    ----------
    student, teacher, mask
        As in `cprd_loss`; masked columns are in neither distribution.
    tau, teacher_tau : float
        Temperatures of student and teacher.

    Returns
    -------
    Tensor
        Scalar: the mean over the rows with a usable column, 0 if there is none.
    """
    usable = torch.ones_like(teacher, dtype=torch.bool) if mask is None else mask
    lowest = torch.finfo(student.dtype).min / 2
    goal = (teacher.to(student.dtype) / teacher_tau).masked_fill(~usable, lowest)
    goal = goal.log_softmax(dim=1)
    found = (student / tau).masked_fill(~usable, lowest).log_softmax(dim=1)
    terms = (goal.exp() * (goal - found)).masked_fill(~usable, 0.0)
    return terms.sum() / usable.any(dim=1).sum().clamp(min=1)


def listmle_loss(
    student: Tensor, teacher: Tensor, mask: Tensor | None = None, tau: float = TEMPERATURE
) -> Tensor:
    """Rank all negatives as the teacher does (Xia et al., ListMLE, ICML 2008).

    Parameters
    ----------
    student, teacher, mask, tau
        As in `cprd_loss`, every usable column being valid.
    """
    everything = torch.ones_like(teacher, dtype=torch.bool)
    return cprd_loss(student, teacher, everything, mask, tau)


def contrastive_loss(similarity: Tensor, match: Tensor, tau: float | Tensor) -> Tensor:
    """InfoNCE in both directions, the matches of a row sharing its target (L_ITC).

    Parameters
    ----------
    similarity : Tensor
        ``[N, M]`` of images and texts.
    match : Tensor
        Bool ``[N, M]`` pairs that belong together, or float weights of the target; at least one
        in every row and column.
    tau : float or Tensor
        Temperature.
    """
    logits = similarity / tau
    target = match.to(logits.dtype)
    over_texts = target / target.sum(dim=1, keepdim=True) * logits.log_softmax(dim=1)
    over_images = target / target.sum(dim=0, keepdim=True) * logits.log_softmax(dim=0)
    return -(over_texts.sum(dim=1).mean() + over_images.sum(dim=0).mean()) / 2
