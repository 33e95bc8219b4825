"""Graph attention against the published vector and naive loops."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from crossrank_cora import GraphAttention
from toys.cora_oracle import naive_attention, naive_norm, weights_of

STAR = [(0, 0), (1, 1), (2, 2), (0, 1), (1, 0), (0, 2), (2, 0)]


def edges_of(pairs: list[tuple[int, int]]) -> Tensor:
    return torch.tensor(pairs).T


def published() -> tuple[GraphAttention, Tensor]:
    """The layer of one head and the three nodes that are worked out by hand."""
    layer = GraphAttention(2, 1).double()
    values = {
        "own.weight": [[1, 0.5], [-0.5, 1]],
        "other.weight": [[0.3, -1], [1, 0.2]],
        "value.weight": [[2, 0], [0, 1]],
        "affinity": [[0.7, -0.2]],
        "bias": [0.1],
    }
    with torch.no_grad():
        for name, each in layer.named_parameters():
            if name in values:
                each.copy_(torch.tensor(values[name]))
            elif "norm" not in name:
                each.zero_()
    return layer, torch.tensor([[1, 0], [0.5, 0.5], [0, 1]], dtype=torch.float64)


def test_the_published_vector() -> None:
    layer, nodes = published()
    edges = edges_of(STAR)
    alphas = layer.attention(nodes, nodes, edges)[:, 0].tolist()
    table = np.zeros((3, 3))
    for (i, j), alpha in zip(STAR, alphas, strict=True):
        table[i, j] = alpha
    expected = [[0.467832, 0.321536, 0.210631], [0.592667, 0.407333, 0], [0.615384, 0, 0.384616]]
    np.testing.assert_allclose(table, expected, atol=5e-7)
    before = [[2.257201, -0.128600], [2.342667, 0.453667], [1.730768, 1.384616]]
    own = weights_of(layer)
    made = np.array([np.maximum(naive_norm(own, "norm", np.array(row)), 0) for row in before])
    # a layer norm over two numbers divides by half their difference
    np.testing.assert_allclose(layer(nodes, nodes, edges).detach(), made, atol=1e-5)
    _, naive = naive_attention(own, list(nodes.numpy()), list(nodes.numpy()), STAR)
    np.testing.assert_allclose(naive, before, atol=1e-6)


def test_several_heads_are_what_naive_loops_say() -> None:
    torch.manual_seed(0)
    layer = GraphAttention(8, 4).double()
    nodes, others = torch.randn(3, 8).double(), torch.randn(5, 8).double()
    pairs = [(0, 4), (2, 0), (0, 1), (1, 1), (2, 3), (2, 4)]
    alphas, made = naive_attention(
        weights_of(layer), list(nodes.numpy()), list(others.numpy()), pairs
    )
    found = layer.attention(nodes, others, edges_of(pairs)).detach()
    np.testing.assert_allclose(found, [alphas[pair] for pair in pairs], rtol=1e-10)
    expected = [np.maximum(naive_norm(weights_of(layer), "norm", each), 0) for each in made]
    np.testing.assert_allclose(
        layer(nodes, others, edges_of(pairs)).detach(), expected, rtol=1e-9, atol=1e-12
    )


def test_large_affinities_do_not_overflow() -> None:
    layer, nodes = published()
    with torch.no_grad():
        layer.affinity.mul_(1e5)
    assert layer(nodes, nodes, edges_of(STAR)).isfinite().all()


def test_a_removed_edge_changes_only_the_nodes_at_its_ends() -> None:
    torch.manual_seed(1)
    layer, nodes = GraphAttention(8, 2).double(), torch.randn(5, 8).double()
    ring = [(i, i) for i in range(5)]
    ring += [pair for i in range(4) for pair in ((i, i + 1), (i + 1, i))]
    whole = layer(nodes, nodes, edges_of(ring))
    ring = [pair for pair in ring if set(pair) != {1, 2}]
    less = layer(nodes, nodes, edges_of(ring))
    assert torch.equal(whole[[0, 3, 4]], less[[0, 3, 4]])
    assert not torch.isclose(whole[[1, 2]], less[[1, 2]]).all(dim=1).any()


def test_a_node_without_edges_keeps_to_itself() -> None:
    layer = GraphAttention(4, 2).double()
    nodes = torch.randn(2, 4).double()
    alone = layer(nodes, nodes, torch.tensor([[0], [0]]))[1]
    expected = torch.relu(layer.norm(layer.own(nodes[1])))
    torch.testing.assert_close(alone, expected)


def test_gradients() -> None:
    layer = GraphAttention(4, 2).double()
    nodes = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, x, edges_of(STAR)), nodes)
