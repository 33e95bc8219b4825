"""The losses of CORA: pure functions of scores.  Higher scores are better."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crossrank.errors import InputError


def supcon_loss(scores: Tensor, positive: Tensor, tau: float) -> Tensor:
    """Return the supervised contrastive loss in one direction: rows are anchors.

    ``−1/|P_i| Σ_{p ∈ P_i} log( e^{s_ip/τ} / (e^{s_ip/τ} + Σ_{n ∉ P_i} e^{s_in/τ}) )``: an anchor's
    other positives stay out of the denominator.  The mean over the rows that have a positive; 0 if
    none has.

    Parameters
    ----------
    scores : Tensor
        ``[n, m]``.
    positive : Tensor
        ``[n, m]`` bool: what belongs to each anchor.
    tau : float
        Temperature, above 0.

    Raises
    ------
    InputError
        If the shapes differ, or the temperature is not positive.

    References
    ----------
    Pham et al., "Composing Object Relations and Attributes for Image-Text Matching", CVPR 2024;
    Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020.
    """
    _same("supcon_loss", scores, positive)
    if not tau > 0:
        raise InputError(f"supcon_loss: tau is {tau}; give a temperature above 0")
    logits = scores / tau
    against = logits.masked_fill(positive, -torch.inf).logsumexp(dim=1, keepdim=True)
    # −log(e^s / (e^s + N)) = log(1 + e^(log N − s)), which neither overflows nor loses small losses
    losses = functional.softplus(against - logits).masked_fill(~positive, 0)
    counts = positive.sum(dim=1)
    of_rows = losses.sum(dim=1) / counts.clamp(min=1)
    return of_rows.sum() / (counts > 0).sum().clamp(min=1)


def triplet_loss(scores: Tensor, positive: Tensor, margin: float) -> Tensor:
    """Return the hinge against the hardest negative of either side, the mean over positive pairs.

    ``[α + max_{n ∉ P_i} s_in − s_ip]₊ + [α + max_{j: p ∉ P_j} s_jp − s_ip]₊`` for each pair (i, p).
    A side without a negative adds nothing; 0 if there is no pair.

    Parameters
    ----------
    scores : Tensor
        ``[n, m]``: pictures with captions.
    positive : Tensor
        ``[n, m]`` bool: all captions of a picture, so that none of them is a negative.
    margin : float
        α, in the scores' units.

    Raises
    ------
    InputError
        If the shapes differ.

    References
    ----------
    Faghri et al., "VSE++", BMVC 2018.
    """
    _same("triplet_loss", scores, positive)
    rows, columns = positive.nonzero(as_tuple=True)
    if len(rows) == 0:
        return scores.sum() * 0
    negative = scores.masked_fill(positive, -torch.inf)
    own = scores[rows, columns]
    of_rows = (margin + negative.amax(dim=1)[rows] - own).clamp(min=0)
    of_columns = (margin + negative.amax(dim=0)[columns] - own).clamp(min=0)
    return (of_rows + of_columns).mean()


def specificity_loss(entity: Tensor, caption: Tensor, margin: float) -> Tensor:
    """Return ``mean [ s(v, e) + margin − s(v, c) ]₊``: a caption says more than any of its parts.

    Parameters
    ----------
    entity : Tensor
        Scores of pictures with entities of their own captions, of any shape.
    caption : Tensor
        The scores of the same pictures with these captions, of the same shape.
    margin : float
        In the scores' units.

    Returns
    -------
    Tensor
        0 if there is no entity.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    _same("specificity_loss", entity, caption)
    return (entity + margin - caption).clamp(min=0).sum() / max(1, entity.numel())


def _same(who: str, one: Tensor, other: Tensor) -> None:
    if one.shape != other.shape:
        raise InputError(
            f"{who}: the shapes {list(one.shape)} and {list(other.shape)} differ; give two of one "
            "shape"
        )
