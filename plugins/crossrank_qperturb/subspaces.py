"""The subspace that the keys of an object span, per head."""

from __future__ import annotations

import torch
from torch import Tensor


def projectors(
    keys: Tensor,
    coverage: Tensor,
    n_pc: float | int,
    projector: str = "pca",
    *,
    every_key: bool = False,
) -> Tensor:
    """Return a projector per object and head.

    With ``A = (diag(w) K)ᵀ (diag(w) K) = U diag(e) Uᵀ``, e falling, ``P = U_r U_rᵀ``.

    Parameters
    ----------
    keys
        ``[heads, N, d]`` float32: the keys of one image.
    coverage
        ``[objects, N]`` the weight of each key.
    n_pc
        The number r of components: as an int, or by a share of the energy (see `kept`).
    projector
        ``"pca"``, or ``"reference_rows"``: Vᵀ V of the first r *rows* V of U, as in the released
        code.  That is a projector of the same rank, but unrelated to the object, and it changes
        with the signs that the eigensolver happens to give its vectors.
    every_key
        Whether keys of weight 0 are multiplied too.  That changes nothing but rounding, and with it
        the vectors without energy.

    Returns
    -------
    Tensor
        ``[objects, heads, d, d]`` symmetric and idempotent; 0 for an object that covers nothing.
    """
    grams = []
    for weights in coverage:
        some = slice(None) if every_key else weights.nonzero()[:, 0]
        weighted = keys[:, some] * weights[some, None]
        grams.append(weighted.mT @ weighted)
    if not grams:
        return keys.new_zeros(0, keys.shape[0], keys.shape[2], keys.shape[2])
    energies, vectors = torch.linalg.eigh(torch.stack(grams))
    energies, vectors = energies.flip(-1).clamp_min(0.0), vectors.flip(-1)
    chosen = kept(energies, n_pc).to(keys.dtype)
    if projector == "reference_rows":
        rows: Tensor = vectors * chosen[..., :, None]
        return rows.mT @ rows
    columns: Tensor = vectors * chosen[..., None, :]
    return columns @ columns.mT


def kept(energies: Tensor, n_pc: float | int) -> Tensor:
    """Tell which components are kept.

    Parameters
    ----------
    energies
        ``[..., d]`` eigenvalues, not negative, falling.
    n_pc
        An int keeps the first `n_pc`.  A float keeps those with ``cumsum(e) / sum(e) < n_pc``, and
        always the first: strictly, so one component fewer than what would reach the share.

    Returns
    -------
    Tensor
        ``[..., d]`` bool.  Components without energy, whose directions are arbitrary, are never
        among them: an object that covers nothing keeps none.
    """
    size = energies.shape[-1]
    first = torch.arange(size, device=energies.device)
    if isinstance(n_pc, int):
        chosen = (first < n_pc).expand(energies.shape)
    else:
        share = energies.cumsum(-1) / energies.sum(-1, keepdim=True)
        chosen = (share < n_pc) | (first == 0)
    noise = size * torch.finfo(energies.dtype).eps
    return chosen & (energies > noise * energies[..., :1])
