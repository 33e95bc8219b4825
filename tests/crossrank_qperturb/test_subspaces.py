"""Projectors: what they are, what they recover, and what the released code makes of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from crossrank_qperturb.subspaces import kept, projectors

HEADS, TOKENS, SIZE = 3, 30, 16


def random_keys(seed: int = 0) -> Tensor:
    return torch.randn(HEADS, TOKENS, SIZE, generator=torch.Generator().manual_seed(seed))


def random_coverage(objects: int = 4, seed: int = 1) -> Tensor:
    return torch.rand(objects, TOKENS, generator=torch.Generator().manual_seed(seed))


def planted(rank: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return keys whose first ten tokens lie in a subspace of this rank, and their weights."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(HEADS, SIZE, rank, generator=generator))[0]
    keys = torch.randn(HEADS, TOKENS, SIZE, generator=generator)
    keys[:, :10] = torch.randn(HEADS, 10, rank, generator=generator) @ basis.mT
    weights = torch.zeros(1, TOKENS)
    weights[0, :10] = 1.0
    return keys, weights


@pytest.mark.parametrize("projector", ["pca", "reference_rows"])
@pytest.mark.parametrize("n_pc", [1, 3, SIZE, 0.1, 0.9, 0.99])
def test_a_projector_is_symmetric_idempotent_and_of_the_chosen_rank(
    n_pc: float | int, projector: str
) -> None:
    found = projectors(random_keys().double(), random_coverage().double(), n_pc, projector)
    assert found.shape == (4, HEADS, SIZE, SIZE)
    torch.testing.assert_close(found, found.mT)
    torch.testing.assert_close(found @ found, found)
    traces = found.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(traces, traces.round())
    if isinstance(n_pc, int):
        assert (traces.round() == n_pc).all()
    for rank, each in zip(traces.flatten().round(), found.flatten(0, 1), strict=True):
        assert torch.linalg.matrix_rank(each) == rank


def test_projectors_equal_the_naive_ones() -> None:
    keys, coverage = random_keys().double(), random_coverage().double()
    for n_pc in (0.5, 0.9, 3):
        found = projectors(keys, coverage, n_pc)
        for one, head in product(range(4), range(HEADS)):
            gram = np.zeros((SIZE, SIZE))
            for token in range(TOKENS):
                weighted = float(coverage[one, token]) * keys[head, token].numpy()
                gram += np.outer(weighted, weighted)
            energies, vectors = np.linalg.eigh(gram)
            expected, used = np.zeros((SIZE, SIZE)), 0.0
            for number in range(SIZE):
                energy, vector = energies[-1 - number], vectors[:, -1 - number]
                used += energy
                below = number < n_pc if isinstance(n_pc, int) else used / energies.sum() < n_pc
                if below or number == 0:
                    expected += np.outer(vector, vector)
            np.testing.assert_allclose(found[one, head].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_planted_subspace_is_recovered(rank: int) -> None:
    keys, weights = planted(rank)
    found = projectors(keys, weights, rank)[0]
    inside = keys[:, :10]
    assert (inside @ found).norm() / inside.norm() >= 0.99
    torch.testing.assert_close(inside @ found, inside, atol=1e-4, rtol=1e-4)


def test_the_rows_of_the_released_code_recover_a_planted_subspace_by_chance_alone() -> None:
    shares = []
    for seed in range(40):
        keys, weights = planted(4, seed)
        found = projectors(keys, weights, 4, "reference_rows")[0]
        shares.append(((keys[:, :10] @ found).norm() / keys[:, :10].norm()) ** 2)
    assert float(torch.stack(shares).mean()) == pytest.approx(4 / SIZE, abs=0.05)


def test_the_rows_of_the_released_code() -> None:
    keys, coverage = random_keys().double(), random_coverage(1).double()
    found = projectors(keys, coverage, 5, "reference_rows")[0]
    for head in range(HEADS):
        weighted = keys[head].numpy() * coverage[0, :, None].numpy()
        vectors = np.linalg.eigh(weighted.T @ weighted)[1][:, ::-1]
        expected = np.zeros((SIZE, SIZE))
        for row in vectors[:5]:
            expected += np.outer(row, row)
        # the signs of eigenvectors are anybody's choice, and change this projector's
        np.testing.assert_allclose(np.abs(found[head].numpy()), np.abs(expected), atol=1e-9)
        flipped = vectors[:5] * np.where(np.arange(SIZE) % 2, 1, -1)
        assert np.abs(flipped.T @ flipped - expected).max() > 0.1


def test_the_strict_rule_keeps_one_component_fewer() -> None:
    keys, weights = planted(4)
    found = projectors(keys, weights, 0.99)[0]
    assert found.diagonal(dim1=-2, dim2=-1).sum(-1).round().tolist() == [3.0] * HEADS
    shares = ((keys[:, :10] @ found).norm(dim=(1, 2)) / keys[:, :10].norm(dim=(1, 2))) ** 2
    assert (shares < 1).all() and (shares > 0.75).all()


def test_an_object_that_covers_nothing_has_no_projector() -> None:
    weights = torch.zeros(1, TOKENS)
    for n_pc, projector in product((0.99, 1, 5), ("pca", "reference_rows")):
        assert not projectors(random_keys(), weights, n_pc, projector).any()


def test_directions_without_energy_are_never_kept() -> None:
    keys, weights = planted(2)
    for n_pc in (5, SIZE, 0.999999):
        found = projectors(keys, weights, n_pc)[0]
        assert (found.diagonal(dim1=-2, dim2=-1).sum(-1) < 2.001).all()


def test_no_objects() -> None:
    assert projectors(random_keys(), torch.zeros(0, TOKENS), 0.9).shape == (0, HEADS, SIZE, SIZE)


def test_which_components_are_kept() -> None:
    energies = torch.tensor([[4.0, 3.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    expected = {
        0.1: [True, False, False, False],
        0.7: [True, False, False, False],
        0.71: [True, True, False, False],
        0.99: [True, True, True, False],
        2: [True, True, False, False],
        1: [True, False, False, False],
        9: [True] * 4,
    }
    for n_pc, first in expected.items():
        assert kept(energies, n_pc).tolist() == [first, [False] * 4], n_pc
