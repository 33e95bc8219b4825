"""Region–word cycle consistency, the loss of MACK's refinement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crossrank.errors import InputError, ParameterError, missing_package

if TYPE_CHECKING:
    import torch


def cycle_loss(
    words: torch.Tensor,
    regions: torch.Tensor,
    weight: torch.Tensor,
    temperature: float = 1.0,
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
        τ, positive.
    reduction
        ``"sum"`` over rows, or ``"mean"``.

    Returns
    -------
    tuple
        The term of the words, and that of the regions.
    """
    if reduction not in ("sum", "mean"):
        raise ParameterError(f"cycle_loss: reduction is {reduction!r}; give 'sum' or 'mean'")
    word_logits, region_logits = cycle_logits(words, regions, weight, temperature)
    return _own_row(word_logits, reduction), _own_row(region_logits, reduction)


def cycle_logits(
    words: torch.Tensor, regions: torch.Tensor, weight: torch.Tensor, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``u ũᵀ / τ`` ``[J, J]`` and ``r r̃ᵀ / τ`` ``[I, I]``; see `cycle_loss`."""
    torch = import_torch()
    if not temperature > 0:
        raise ParameterError(f"cycle_loss: temperature is {temperature!r}; give a positive number")
    u, r, w = (torch.as_tensor(each) for each in (words, regions, weight))
    if (
        u.ndim != 2
        or r.ndim != 2
        or {u.shape[1], r.shape[1]} != {*w.shape}
        or 0 in (*u.shape, len(r))
    ):
        raise InputError(
            f"cycle_loss: words {tuple(u.shape)}, regions {tuple(r.shape)} and weight "
            f"{tuple(w.shape)} do not fit; give [J, D], [I, D] and [D, D]"
        )
    u, r = u @ w, r @ w
    similarity = u @ r.T / temperature
    u_back = similarity.softmax(dim=1) @ r
    r_back = similarity.T.softmax(dim=1) @ u
    return u @ u_back.T / temperature, r @ r_back.T / temperature


def _own_row(logits: torch.Tensor, reduction: str) -> torch.Tensor:
    losses = -logits.log_softmax(dim=1).diagonal()
    return losses.sum() if reduction == "sum" else losses.mean()


def import_torch() -> Any:
    """Return torch, or say which extra brings it."""
    try:
        import torch
    except ImportError as error:
        raise missing_package("torch", "knowledge", "refining a bank") from error
    return torch
