"""A small adapter with random weights, and what it computes as a loop in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank_cola import FILE, MMAdapter, Sizes

Doubles = NDArray[np.float64]
SIZES = Sizes(cell=7, word=5, dim=8, hidden=12, heads=2)


def adapter(sizes: Sizes = SIZES, seed: int = 0) -> MMAdapter:
    torch.manual_seed(seed)
    network = MMAdapter(sizes)
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)  # norms and biases too
    return network.eval()


def saved(path: Path) -> Path:
    network = adapter()
    FILE.save(network, network.sizes, path)
    return path


def collection(modality: str, counts: tuple[int, ...], seed: int = 1) -> cr.Collection:
    """Return items with so many cells or words each."""
    draw = np.random.default_rng(seed + len(modality))
    name, size = ("regions", SIZES.cell) if modality == "image" else ("words", SIZES.word)
    flat = draw.normal(size=(sum(counts), size)).astype(np.float32)
    ids = [f"{modality}{place}" for place in range(len(counts))]
    made = cr.Collection(ids, modality)
    return made.with_features(**{name: cr.Ragged(flat, counts)})


def naive_score(network: MMAdapter, cells: Doubles, words: Doubles) -> float:
    """Score one pair: every attention, norm and product written out."""
    state = {name: each.detach().double().numpy() for name, each in network.state_dict().items()}
    heads, dim = network.sizes.heads, network.sizes.dim

    def linear(name: str, x: Doubles) -> Doubles:
        return np.array([state[f"{name}.weight"] @ row + state[f"{name}.bias"] for row in x])

    def norm(name: str, x: Doubles) -> Doubles:
        rows = [(row - row.mean()) / np.sqrt(row.var() + 1e-5) for row in x]
        return np.array([row * state[f"{name}.weight"] + state[f"{name}.bias"] for row in rows])

    def attend(name: str, asked: Doubles, listed: Doubles) -> Doubles:
        weight, bias = state[f"{name}.in_proj_weight"], state[f"{name}.in_proj_bias"]
        q, k, v = (
            np.array([weight[part] @ row + bias[part] for row in x])
            for part, x in zip(
                (slice(0, dim), slice(dim, 2 * dim), slice(2 * dim, 3 * dim)),
                (asked, listed, listed),
                strict=True,
            )
        )
        width = dim // heads
        joined = np.zeros((len(asked), dim))
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for row in range(len(asked)):
                logits = np.array([q[row, part] @ other[part] for other in k]) / np.sqrt(width)
                shares = np.exp(logits - logits.max())
                shares /= shares.sum()
                for share, value in zip(shares, v, strict=True):
                    joined[row, part] += share * value[part]
        return linear(f"{name}.out_proj", joined)

    def perceptron(name: str, x: Doubles) -> Doubles:
        return linear(f"{name}.linear2", np.maximum(linear(f"{name}.linear1", x), 0))

    v = linear("cells.1", norm("cells.0", cells))
    t = linear("words.1", norm("words.0", words))
    x = np.concatenate([v, t])
    x = norm("encoder.norm1", x + attend("encoder.self_attn", x, x))
    x = norm("encoder.norm2", x + perceptron("encoder", x))
    memory = norm("encoder_norm", x)
    z = state["proposal"][None]
    z = norm("decoder.norm1", z + attend("decoder.self_attn", z, z))
    z = norm("decoder.norm2", z + attend("decoder.multihead_attn", z, memory))
    z = norm("decoder.norm3", z + perceptron("decoder", z))
    z = norm("decoder_norm", z)
    return float(np.mean([z[0] @ word for word in t]) / np.sqrt(dim))
