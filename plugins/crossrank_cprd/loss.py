"""The CPRD loss: rank the valid negatives as the teacher does, and all of them above the rest.

"Contrastive Partial Ranking Distillation", CVPR 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TEMPERATURE = 0.07


def cprd_loss(
    student: Tensor,
    teacher: Tensor,
    valid: Tensor,
    mask: Tensor | None = None,
    tau: float = TEMPERATURE,
) -> Tensor:
    """Partial ranking loss of mined negatives.

    With the usable negatives of a row in the teacher's order, best first, and J* the place of the
    first invalid one::

        L = − Σ_{j < J*} log [ exp(s_j / τ) / Σ_{k ≥ j} exp(s_k / τ) ]

    the ListMLE of the valid ones above everything behind them; the order of the invalid ones does
    not matter.  Only the teacher's order counts, never the size of its scores; equal scores are
    taken valid ones first, then in the order of the columns.

    Parameters
    ----------
    student : Tensor
        Float ``[B, K]`` similarities; gradients flow through these alone.
    teacher : Tensor
        ``[B, K]`` scores of the same pairs, higher is better; best its logits, since probabilities
        saturate and then order nothing.
    valid : Tensor
        Bool ``[B, K]``: negatives the teacher finds good enough to be ranked.  Of the usable ones,
        no valid one may stand below an invalid one.
    mask : Tensor, optional
        Bool ``[B, K]``: usable negatives; all by default.  The others count nowhere.
    tau : float
        Temperature of the student.

    Returns
    -------
    Tensor
        Scalar: the mean over the rows that have a usable valid negative of the row's sum; 0 if no
        row has one.

    Raises
    ------
    ValueError
        On shapes that differ, masks that are not bool, a temperature that is not positive, NaN
        among the usable teacher scores, or a `valid` that is no prefix of the teacher's order.
    """
    usable = _checked(student, teacher, valid, mask, tau)
    if student.shape[1] == 0:
        return student.sum()
    ranked = valid & usable
    order = teacher_order(teacher, ranked, usable)
    ranked = ranked.gather(1, order)
    if student.dtype in (torch.float16, torch.bfloat16):
        student = student.float()  # before the division: a score over τ has few digits left
    scores = (student / tau).gather(1, order)
    # logcumsumexp has no gradient at -inf; the lowest finite number adds as little to a sum
    lowest = torch.finfo(scores.dtype).min / 2
    scores = scores.masked_fill(~usable.gather(1, order), lowest)
    behind = scores.flip(1).logcumsumexp(dim=1).flip(1)
    terms = (behind - scores).masked_fill(~ranked, 0.0)
    return terms.sum() / ranked.any(dim=1).sum().clamp(min=1)


class CprdLoss(nn.Module):
    """`cprd_loss` with validity by a threshold on the teacher's scores.

    Parameters
    ----------
    threshold : float
        θ: a negative whose teacher score is at least this is valid.
    tau : float
        Temperature of the student.
    """

    def __init__(self, threshold: float, tau: float = TEMPERATURE) -> None:
        super().__init__()
        self.threshold = threshold
        self.tau = tau

    def forward(self, student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss of ``[B, K]`` negatives; see `cprd_loss`."""
        return cprd_loss(student, teacher, teacher >= self.threshold, mask, self.tau)


def teacher_order(teacher: Tensor, ranked: Tensor, usable: Tensor) -> Tensor:
    """Return ``[B, K]`` columns: usable ones first, by the teacher, at equal scores valid first."""
    order = torch.argsort(~ranked, dim=1, stable=True, descending=False)
    scores = teacher.masked_fill(~usable, -torch.inf).gather(1, order)
    order = order.gather(1, scores.argsort(dim=1, stable=True, descending=True))
    last = (~usable).gather(1, order).argsort(dim=1, stable=True)
    return order.gather(1, last)


def _checked(
    student: Tensor, teacher: Tensor, valid: Tensor, mask: Tensor | None, tau: float
) -> Tensor:
    """Return the usable columns, or say what is wrong."""
    shapes = {
        "student": student.shape,
        "teacher": teacher.shape,
        "valid": valid.shape,
        "mask": valid.shape if mask is None else mask.shape,
    }
    if student.ndim != 2 or len(set(shapes.values())) > 1:
        said = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
        raise ValueError(f"cprd_loss needs tensors of one shape [B, K]; got {said}.")
    for name, each in (("valid", valid), ("mask", mask)):
        if each is not None and each.dtype != torch.bool:
            raise ValueError(f"cprd_loss: {name} is {each.dtype}; give a tensor of bool.")
    if not tau > 0:
        raise ValueError(f"cprd_loss: tau must be positive; got {tau}.")
    usable = torch.ones_like(valid) if mask is None else mask
    wrong = (teacher.isnan() & usable).nonzero().tolist()
    if wrong:
        raise ValueError(
            f"cprd_loss: the teacher's score of row {wrong[0][0]}, column {wrong[0][1]} is NaN; "
            "mask the negatives it did not score."
        )
    if teacher.shape[1] == 0:
        return usable
    worst = teacher.masked_fill(~(valid & usable), torch.inf).amin(dim=1)
    best = teacher.masked_fill(valid | ~usable, -torch.inf).amax(dim=1)
    rows = (worst < best).nonzero().flatten().tolist()
    if rows:
        raise ValueError(
            f"cprd_loss: in row {rows[0]} a valid negative stands below an invalid one; valid must "
            "be a prefix of the teacher's order, as a threshold on its scores gives it."
        )
    return usable
