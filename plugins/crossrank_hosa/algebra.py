"""The t-product algebra of third-order tensors: product, transpose, identity, least squares.

A tensor ``[n1, n2, n3]`` is a matrix of tubes of length n3, which multiply by circular convolution.
In the Fourier domain along the tubes that is one matrix product per slice.  Everything takes
leading batch dimensions, which broadcast, and is differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrank.errors import InputError
from crossrank.plugin.parameters import at_least, checked


def tproduct(a: Tensor, b: Tensor) -> Tensor:
    """Return the t-product ``A ∗ B``.

    Parameters
    ----------
    a, b : Tensor
        Real, ``[..., n1, n2, n3]`` and ``[..., n2, l, n3]``.

    Returns
    -------
    Tensor
        ``[..., n1, l, n3]``: ``bcirc(A) · unfold(B)``, folded again.

    Raises
    ------
    InputError
        If the shapes do not go together.

    Examples
    --------
    >>> a, b = torch.tensor([[[1.0, 2], [3, 4]]]), torch.tensor([[[1.0, 2]], [[3, 4]]])
    >>> tproduct(a, b).tolist()
    [[[30.0, 28.0]]]
    """
    _check("tproduct", a, b, inner=(-2, -3))
    return _tensor(_slices(a) @ _slices(b), a.shape[-1])


def ttranspose(a: Tensor) -> Tensor:
    """Return the t-transpose: the conjugate transpose of every Fourier slice.

    Parameters
    ----------
    a : Tensor
        Real, ``[..., n1, n2, n3]``.

    Returns
    -------
    Tensor
        ``[..., n2, n1, n3]``.  On the tensor itself: every frontal slice transposed, and all but
        the first in reverse order, which is what conjugation is to real tubes.
    """
    _check("ttranspose", a)
    return a.transpose(-3, -2).flip(-1).roll(1, -1)


def tidentity(
    n: int, n3: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> Tensor:
    """Return the identity of the t-product, ``[n, n, n3]``: the first frontal slice is I, no other.

    Parameters
    ----------
    n, n3 : int
        The size of a slice and the length of a tube.
    dtype, device
        As torch takes them.
    """
    identity = torch.zeros(n, n, n3, dtype=dtype, device=device)
    identity[:, :, 0] = torch.eye(n, dtype=dtype, device=device)
    return identity


def tlstsq(v: Tensor, t: Tensor, ridge: float = 0.0) -> Tensor:
    """Return the coefficients ``H = (VᵀV + λI)⁻¹ Vᵀ T`` of the t-linear least squares.

    Parameters
    ----------
    v : Tensor
        Real, ``[..., n1, R, n3]``: R lateral slices to rebuild from.
    t : Tensor
        Real, ``[..., n1, L, n3]``: L lateral slices to be rebuilt.
    ridge : float
        λ ≥ 0, absolute.

    Returns
    -------
    Tensor
        H, ``[..., R, L, n3]``; ``tproduct(v, H)`` is the reconstruction.

    Raises
    ------
    InputError
        If the shapes do not go together, or if λ is 0 and the lateral slices of V depend on each
        other in some Fourier slice (as they must for n1 < R).
    ParameterError
        If λ is negative or not finite.

    Notes
    -----
    Normal equations by Cholesky, in the precision of the input: with λ = 0 the error grows with the
    square of V's condition, so use float64 there.
    """
    _check("tlstsq", v, t, inner=(-3, -3))
    checked("tlstsq", "ridge", ridge, at_least(0))
    basis, targets = _slices(v), _slices(t)
    gram = basis.mH @ basis
    gram = gram + ridge * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    factor, info = torch.linalg.cholesky_ex(gram)
    _refuse_singular(gram.detach(), factor.detach(), info, ridge)
    return _tensor(torch.cholesky_solve(basis.mH @ targets, factor), v.shape[-1])


def _slices(a: Tensor) -> Tensor:
    """Return the Fourier slices ``[..., n3 // 2 + 1, n1, n2]``; the others are their conjugates."""
    slices: Tensor = torch.fft.rfft(a, dim=-1).movedim(-1, -3)
    return slices


def _tensor(slices: Tensor, n3: int) -> Tensor:
    tubes: Tensor = torch.fft.irfft(slices.movedim(-3, -1), n=n3, dim=-1)
    return tubes


def _check(who: str, *tensors: Tensor, inner: tuple[int, int] | None = None) -> None:
    shapes = " and ".join(str(tuple(each.shape)) for each in tensors)
    if any(each.ndim < 3 or each.shape[-1] == 0 for each in tensors):
        raise InputError(f"{who}: got {shapes}; give tensors [..., n1, n2, n3]")
    if any(each.is_complex() for each in tensors):
        raise InputError(f"{who}: got a complex tensor; the algebra is that of real tubes")
    if inner is None:
        return
    a, b = tensors
    if a.shape[-1] != b.shape[-1] or a.shape[inner[0]] != b.shape[inner[1]]:
        needed = "[n1, n2, n3] and [n2, l, n3]" if inner[0] == -2 else "[n1, R, n3] and [n1, L, n3]"
        raise InputError(f"{who}: shapes {shapes} do not go together; they must be {needed}")


def _refuse_singular(gram: Tensor, factor: Tensor, info: Tensor, ridge: float) -> None:
    """Refuse where a pivot is no more than rounding of the largest one."""
    if gram.numel() == 0:
        return
    pivots = factor.diagonal(dim1=-2, dim2=-1).real.square()
    largest = gram.diagonal(dim1=-2, dim2=-1).real.amax(dim=-1)
    rounding = gram.shape[-1] * torch.finfo(pivots.dtype).eps
    if bool((info > 0).any() or (pivots.amin(dim=-1) <= rounding * largest).any()):
        raise InputError(
            f"tlstsq: the lateral slices of V depend on each other, so with ridge={ridge} the "
            "system is singular; give a larger ridge, or fewer slices than n1"
        )
