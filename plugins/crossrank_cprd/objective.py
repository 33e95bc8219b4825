"""The loss of a batch: what the teacher adds for hard negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from crossrank_cprd.baselines import kl_loss, listmle_loss
from crossrank_cprd.loss import cprd_loss
from crossrank_cprd.mining import TaughtLists
from crossrank_cprd.recipe import Recipe


def distillation(
    queries: Tensor, rows: Tensor, bank: Tensor, lists: TaughtLists, recipe: Recipe
) -> Tensor:
    """Return the distillation loss of some queries against the queue.

    Parameters
    ----------
    queries
        ``[B, D]`` embeddings; gradients flow into these.
    rows
        ``[B]`` which queries they are.
    bank
        ``[N, D]`` embeddings of all candidates, as they were when the epoch began.
    lists
        The hard negatives of each query.
    recipe
        See `Recipe`.
    """
    taught = lists.usable[rows].any(dim=1)
    queries, rows = queries[taught], rows[taught]
    student = torch.einsum("bd,bkd->bk", queries, bank[lists.index[rows]])
    teacher, usable = lists.scores[rows], lists.usable[rows]
    if recipe.objective == "kl":
        return kl_loss(student, teacher, usable, recipe.tau, recipe.teacher_tau)
    if recipe.objective == "listmle":
        return listmle_loss(student, teacher, usable, recipe.tau)
    valid = above(teacher, usable, recipe.threshold)
    return cprd_loss(student, teacher, valid, usable, recipe.tau)


def above(teacher: Tensor, mask: Tensor, threshold: float) -> Tensor:
    """Return the negatives that are valid: at least ``mean + threshold · deviation`` of their row.

    A threshold relative to the row suits any teacher, whatever the scale of its scores.
    """
    known = teacher.masked_fill(~mask, torch.nan)
    mean = known.nanmean(dim=1, keepdim=True)
    deviation = (known - mean).square().nanmean(dim=1, keepdim=True).sqrt()
    return mask & (teacher >= mean + threshold * deviation)
