"""Small networks and collections for the tests of ``lite_itm``, and its score in naive loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erf

import crossrank as cr
from crossrank.testing import make_collection
from crossrank_lite_itm.network import LiteItm, Sizes, save_network

SIZES = Sizes(region=10, word=6, token=4, dim=8, hidden=5, evidence=3, members=2)
DIMENSIONS = {"regions": 10, "words": 6, "tokens": 4}

Doubles = NDArray[np.float64]


def random_network(sizes: Sizes = SIZES, seed: int = 0) -> LiteItm:
    """Return a network in which no parameter is zero."""
    torch.manual_seed(seed)
    network = LiteItm(sizes).eval().requires_grad_(False)
    for name, each in network.state_dict().items():
        if "sharpness" in name or "log_scale" in name:
            each.copy_(torch.randn(()) * 0.3 + 1.0)
        elif "spread" in name:
            each.copy_(torch.rand(each.shape) + 0.5)
        else:
            each.copy_(torch.randn(each.shape) * 0.5)
    return network


def saved(path: Path, sizes: Sizes = SIZES, seed: int = 0) -> Path:
    """Write a random network."""
    save_network(random_network(sizes, seed), path)
    return path


def collection(modality: str, count: int = 12) -> cr.Collection:
    """Return pictures or texts with features of the toy sizes."""
    return make_collection(modality, count, dimensions=DIMENSIONS)


def naive_score(network: LiteItm, regions: Any, words: Any, tokens: Any) -> float:
    """Score one pair in float64, a word and a cell at a time."""
    weights = {name: each.double().numpy() for name, each in network.state_dict().items()}
    raw_cells = (np.asarray(regions, np.float64) - weights["regions.mean"]) / weights[
        "regions.spread"
    ]
    raw_words = np.concatenate(
        [
            (np.asarray(words, np.float64) - weights["words.mean"]) / weights["words.spread"],
            np.asarray(tokens, np.float64) * np.sqrt(network.sizes.token),
        ],
        axis=1,
    )
    scores = []
    for member in range(network.sizes.members):
        own = {
            name.removeprefix(f"members.{member}."): each
            for name, each in weights.items()
            if name.startswith(f"members.{member}.")
        }
        cells = [naive_head(own, "cell_head", each) for each in raw_cells]
        texts = [naive_head(own, "word_head", each) for each in raw_words]
        by_words, by_cells, evidence = 0.0, 0.0, 0.0
        gates = naive_softmax([own["word_gate"] @ word for word in texts])
        for gate, word in zip(gates, texts, strict=True):
            look = naive_softmax([np.exp(own["log_word_sharpness"]) * (word @ c) for c in cells])
            seen = sum(a * cell for a, cell in zip(look, cells, strict=True))
            agreed = float(word @ seen / np.linalg.norm(seen))
            by_words += gate * (agreed + float(own["word_ease"] @ word))
            similar = [float(word @ cell) for cell in cells]
            how = np.array([agreed, max(similar), np.mean(similar)])
            inner = own["word_evidence.weight"] @ word + own["word_evidence.bias"]
            inner = inner + own["agreement_evidence.weight"] @ how
            evidence += 0.1 * float(own["evidence.weight"][0] @ naive_gelu(inner))
        gates = naive_softmax([own["cell_gate"] @ cell for cell in cells])
        for gate, cell in zip(gates, cells, strict=True):
            look = naive_softmax([np.exp(own["log_cell_sharpness"]) * (cell @ w) for w in texts])
            agreed = sum(float(b * (cell @ word)) for b, word in zip(look, texts, strict=True))
            by_cells += gate * (own["balance"] * agreed + float(own["cell_ease"] @ cell))
        scores.append(np.exp(own["log_scale"]) * (by_words + by_cells + evidence))
    return float(np.mean(scores))


def naive_head(weights: dict[str, Doubles], head: str, features: Doubles) -> Doubles:
    """Project one raw vector to a unit vector."""
    own = {name.removeprefix(f"{head}."): each for name, each in weights.items()}
    straight = own["linear.weight"] @ features + own["linear.bias"]
    centred = (straight - straight.mean()) / np.sqrt(straight.var() + 1e-5)
    inner = own["mlp.1.weight"] @ (centred * own["mlp.0.weight"] + own["mlp.0.bias"])
    inner = inner + own["mlp.1.bias"]
    whole = straight + own["mlp.4.weight"] @ naive_gelu(inner) + own["mlp.4.bias"]
    unit: Doubles = whole / np.linalg.norm(whole)
    return unit


def naive_gelu(values: Doubles) -> Doubles:
    """Return ``x Φ(x)``."""
    curved: Doubles = values * 0.5 * (1 + erf(values / np.sqrt(2)))
    return curved


def naive_softmax(logits: list[Any]) -> list[float]:
    """Return the softmax of a few numbers."""
    powers = [float(np.exp(each)) for each in logits]
    return [each / sum(powers) for each in powers]
