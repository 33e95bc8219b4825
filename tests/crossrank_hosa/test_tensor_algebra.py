"""The t-product algebra against block-circulant matrices in float64."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import crossrank_hosa
from crossrank.errors import InputError, ParameterError
from crossrank_hosa import tidentity, tlstsq, tproduct, ttranspose
from toys.hosa_oracle import bcirc, coefficients, fold_back, unfold

SIZES = st.integers(1, 4)
TUBES = st.integers(1, 6)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def close(found: Tensor, expected: Tensor | np.ndarray, atol: float = 1e-10) -> None:
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), atol=atol)


def test_the_published_vector() -> None:
    a, b = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    assert tproduct(a, b).tolist() == [[[30.0, 28.0]]]


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, SIZES, TUBES, st.integers(0, 99))
def test_product_and_transpose_are_those_of_block_circulant_matrices(
    n1: int, n2: int, columns: int, n3: int, seed: int
) -> None:
    a, b = random(n1, n2, n3, seed=seed), random(n2, columns, n3, seed=seed + 1)
    expected = fold_back(bcirc(a.numpy()) @ unfold(b.numpy()), n3)
    close(tproduct(a, b), expected)
    np.testing.assert_allclose(bcirc(ttranspose(a).numpy()), bcirc(a.numpy()).T)
    close(ttranspose(tproduct(a, b)), tproduct(ttranspose(b), ttranspose(a)))
    close(tproduct(a, tidentity(n2, n3, dtype=torch.float64)), a)
    close(tproduct(tidentity(n1, n3, dtype=torch.float64), a), a)


def test_the_transpose_is_conjugate_in_every_fourier_slice() -> None:
    a = random(3, 2, 5)
    expected = np.fft.fft(a.numpy(), axis=2).conj().swapaxes(0, 1)
    np.testing.assert_allclose(np.fft.fft(ttranspose(a).numpy(), axis=2), expected, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), SIZES, TUBES, st.sampled_from([0.0, 0.3, 5.0]), st.integers(0, 99))
def test_least_squares_are_those_of_block_circulant_matrices(
    regions: int, words: int, n3: int, ridge: float, seed: int
) -> None:
    v, t = (
        random(regions + 3, regions, n3, seed=seed),
        random(regions + 3, words, n3, seed=seed + 1),
    )
    found = tlstsq(v, t, ridge)
    close(found, coefficients(v.numpy(), t.numpy(), ridge), atol=1e-6)
    order = torch.randperm(regions)
    close(tproduct(v[:, order], tlstsq(v[:, order], t, ridge)), tproduct(v, found), atol=1e-6)


def test_the_reconstruction_is_a_projection() -> None:
    v, t = random(7, 3, 4), random(7, 5, 4, seed=1)
    once = tproduct(v, tlstsq(v, t))
    close(tproduct(v, tlstsq(v, once)), once)
    close(tproduct(ttranspose(v), t - once), torch.zeros(3, 5, 4))
    inside = tproduct(v, random(3, 2, 4, seed=2))
    assert float((tproduct(v, tlstsq(v, inside)) - inside).norm()) < 1e-10


def test_with_everything_on_the_tube_anything_rebuilds_anything() -> None:
    v, t = random(1, 1, 12), random(1, 4, 12, seed=1)
    assert float((tproduct(v, tlstsq(v, t)) - t).norm()) < 1e-8
    plain = torch.linalg.solve(v[0, :, :] @ v[0, :, :].T, v[0] @ t[0].T)  # without the algebra
    assert float((v[0].T @ plain - t[0].T).norm()) > 1


def test_leading_dimensions_are_a_batch_and_broadcast() -> None:
    v, t = random(2, 1, 6, 3, 4), random(1, 3, 6, 2, 4, seed=1)
    found = tlstsq(v, t, 0.1)
    rebuilt = tproduct(v, found)
    assert found.shape == (2, 3, 3, 2, 4)
    assert ttranspose(v).shape == (2, 1, 3, 6, 4)
    for image in range(2):
        for text in range(3):
            alone = tlstsq(v[image, 0], t[0, text], 0.1)
            close(found[image, text], alone)
            close(rebuilt[image, text], tproduct(v[image, 0], alone))


@pytest.mark.parametrize("n3", [1, 3, 4])
def test_gradients(n3: int) -> None:
    v, t = random(5, 2, n3).requires_grad_(), random(5, 3, n3, seed=1).requires_grad_()
    functions: list[tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = [
        (tproduct, (ttranspose(v.detach()).requires_grad_(), t)),
        (ttranspose, (v,)),
        (tlstsq, (v, t)),
        (lambda v, t: tlstsq(v, t, 0.5), (v, t)),
        (lambda v, t: tproduct(v, tlstsq(v, t, 0.5)), (v, t)),
    ]
    for function, inputs in functions:
        assert torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_singular_systems_are_refused_without_a_ridge(dtype: torch.dtype) -> None:
    v = random(6, 3, 4).to(dtype)
    twice, few = v[:, [0, 1, 1]], random(2, 3, 4).to(dtype)
    for singular in (twice, few, torch.zeros_like(v)):
        t = torch.ones(singular.shape[0], 1, 4, dtype=dtype)
        with pytest.raises(InputError, match="singular; give a larger ridge"):
            tlstsq(singular, t)
        assert bool(torch.isfinite(tlstsq(singular, t, 0.1)).all())


def test_what_it_refuses() -> None:
    with pytest.raises(InputError, match=r"\(2, 3, 4\) and \(2, 3, 4\) do not go together"):
        tproduct(random(2, 3, 4), random(2, 3, 4))
    with pytest.raises(InputError, match="must be"):
        tproduct(random(2, 3, 4), random(3, 2, 5))
    with pytest.raises(InputError, match=r"\[n1, R, n3\]"):
        tlstsq(random(5, 3, 4), random(6, 3, 4))
    with pytest.raises(InputError, match="give tensors"):
        ttranspose(random(2, 3))
    with pytest.raises(InputError, match="complex"):
        ttranspose(torch.zeros(2, 3, 4, dtype=torch.complex64))
    with pytest.raises(ParameterError, match="ridge is -1"):
        tlstsq(random(5, 3, 4), random(5, 3, 4), -1.0)
    with pytest.raises(AttributeError, match="tnothing"):
        _ = crossrank_hosa.tnothing
