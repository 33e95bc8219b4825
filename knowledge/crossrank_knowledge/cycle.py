"""Region–word cycle consistency, the loss of MACK's refinement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossrank.errors import InputError, ParameterError
from crossrank.plugin.optional import required
from crossrank.plugin.parameters import checked, positive

if TYPE_CHECKING:
    import torch


def cycle_loss(
    words: torch.Tensor,
    regions: torch.Tensor,
    weight: torch.Tensor,
    temperature: float | torch.Tensor = 1.0,
    reduction: str = "sum",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two terms of the loss; it is their sum.

    With ``u = words W``, ``r = regions W`` and ``S = u rᵀ / τ``, a word goes to the regions and
    back: ``ũ = softmax_rows(S) r`` must be closest to the word it came from,
    ``−Σ_j log softmax(u ũᵀ / τ)[j, j]``; and a region likewise over the words,
    ``r̃ = softmax_rows(Sᵀ) u``, ``−Σ_i log softmax(r r̃ᵀ / τ)[i, i]`` (MACK, NeurIPS 2022; τ = 1
    there).

    Parameters
    ----------
    words
        ``[J, D]`` prototypes of distinct words.
    regions
        ``[I, D]``, not paired with the words.
    weight
        ``[D, D]``, W.
    temperature
        τ, positive; a tensor may be learned.
    reduction
        ``"sum"`` over rows, or ``"mean"``.

    Returns
    -------
    tuple
        The term of the words, and that of the regions.
    """
    if reduction not in ("sum", "mean"):
        raise ParameterError(f"cycle_loss: reduction is {reduction!r:.80}; give 'sum' or 'mean'")
    torch = import_torch()
    u, r, w = (torch.as_tensor(each) for each in (words, regions, weight))
    shapes = f"words {tuple(u.shape)}, regions {tuple(r.shape)} and weight {tuple(w.shape)}"
    if not (u.ndim == r.ndim == w.ndim == 2 and {u.shape[1], r.shape[1]} == {*w.shape}):
        raise InputError(f"cycle_loss: {shapes} do not fit; give [J, D], [I, D] and [D, D]")
    if not (len(u) and len(r)):
        raise InputError(f"cycle_loss: {shapes}: give at least one word and one region")
    word_logits, region_logits = cycle_logits(u @ w, r @ w, temperature)
    return own_row_loss(word_logits, reduction), own_row_loss(region_logits, reduction)


def cycle_logits(
    u: torch.Tensor, r: torch.Tensor, temperature: float | torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``u ũᵀ / τ`` ``[J, J]`` and ``r r̃ᵀ / τ`` ``[I, I]`` of mapped words and regions."""
    number = temperature.item() if hasattr(temperature, "item") else temperature
    checked("cycle_loss", "temperature", number, positive)
    similarity = u @ r.T / temperature
    u_back = similarity.softmax(dim=1) @ r
    r_back = similarity.T.softmax(dim=1) @ u
    return u @ u_back.T / temperature, r @ r_back.T / temperature


def own_row_loss(logits: torch.Tensor, reduction: str) -> torch.Tensor:
    """Return ``−Σ_j log softmax(logits)[j, j]``, or its mean."""
    losses = -logits.log_softmax(dim=1).diagonal()
    return losses.sum() if reduction == "sum" else losses.mean()


def import_torch() -> Any:
    """Return torch, or say which extra brings it."""
    return required("torch", "knowledge", "refining a bank")
