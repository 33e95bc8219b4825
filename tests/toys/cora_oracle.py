"""CORA in naive float64 loops: one vector, one edge, one pair at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Weights = dict[str, Doubles]


def weights_of(module: Any, prefix: str = "") -> Weights:
    """Return a module's tensors in float64, those under a prefix without it."""
    return {
        name.removeprefix(prefix): each.detach().double().numpy()
        for name, each in module.state_dict().items()
        if name.startswith(prefix)
    }


def under(weights: Weights, prefix: str) -> Weights:
    """Return those under a prefix, without it."""
    return {n.removeprefix(prefix): each for n, each in weights.items() if n.startswith(prefix)}


def naive_supcon(scores: Any, positive: Any, tau: float) -> float:
    """Return the supervised contrastive loss, an anchor and a positive at a time."""
    of_anchors = []
    for row, own in zip(scores, positive, strict=True):
        negatives = [s / tau for s, p in zip(row, own, strict=True) if not p]
        losses = []
        for s, p in zip(row, own, strict=True):
            if p:
                shift = max([s / tau, *negatives])
                top = math.exp(s / tau - shift)
                rest = sum(math.exp(n - shift) for n in negatives)
                losses.append(math.log((top + rest) / top) if top else shift - s / tau)
        if losses:
            of_anchors.append(sum(losses) / len(losses))
    return sum(of_anchors) / len(of_anchors) if of_anchors else 0.0


def naive_triplet(scores: Any, positive: Any, margin: float) -> float:
    """Return the hinge against the hardest negatives, a pair at a time."""
    rows, columns = np.shape(scores)
    losses = []
    for i in range(rows):
        for j in range(columns):
            if positive[i][j]:
                other_texts = [scores[i][k] for k in range(columns) if not positive[i][k]]
                other_pictures = [scores[k][j] for k in range(rows) if not positive[k][j]]
                losses.append(
                    sum(
                        max(0.0, margin + max(others) - scores[i][j])
                        for others in (other_texts, other_pictures)
                        if others
                    )
                )
    return sum(losses) / len(losses) if losses else 0.0


def naive_specificity(entity: Any, caption: Any, margin: float) -> float:
    """Return the mean hinge."""
    pairs = list(zip(np.ravel(entity), np.ravel(caption), strict=True))
    return float(sum(max(0.0, e + margin - c) for e, c in pairs)) / max(1, len(pairs))


def naive_gpo(rows: Any, weights: Any) -> Doubles:
    """Pool some rows, a dimension at a time."""
    if not len(rows):
        return np.zeros(np.shape(rows)[1])
    return np.array(
        [sum(w * v for w, v in zip(weights, sorted(column, reverse=True), strict=True))
         for column in np.transpose(rows)]
    )  # fmt: skip


def naive_sinusoid(place: int, size: int) -> Doubles:
    """Return the sinusoid of one place."""
    found = np.zeros(size)
    for pair in range(size // 2):
        angle = place / 10000 ** (2 * pair / size)
        found[2 * pair], found[2 * pair + 1] = math.sin(angle), math.cos(angle)
    return found


def naive_gpo_weights(pool: Any, count: int) -> Doubles:
    """Return θ of a set of so many, by a recurrent network a step at a time."""
    own = weights_of(pool)
    steps = [naive_sinusoid(place, own["gru.weight_ih_l0"].shape[1]) for place in range(count)]
    forward = _naive_gru(own, steps, "")
    backward = _naive_gru(own, steps[::-1], "_reverse")[::-1]
    logits = [
        float(own["linear.weight"][0] @ ((one + other) / 2)) / 0.1
        for one, other in zip(forward, backward, strict=True)
    ]
    powers = np.exp(np.array(logits) - max(logits))
    found: Doubles = powers / powers.sum()
    return found


def _naive_gru(own: Weights, steps: list[Doubles], suffix: str) -> list[Doubles]:
    hidden = np.zeros(own["gru.weight_hh_l0" + suffix].shape[1])
    found = []
    for step in steps:
        inner = own["gru.weight_ih_l0" + suffix] @ step + own["gru.bias_ih_l0" + suffix]
        outer = own["gru.weight_hh_l0" + suffix] @ hidden + own["gru.bias_hh_l0" + suffix]
        (ir, iz, im), (hr, hz, hm) = np.split(inner, 3), np.split(outer, 3)
        reset, update = _sigmoid(ir + hr), _sigmoid(iz + hz)
        hidden = (1 - update) * np.tanh(im + reset * hm) + update * hidden
        found.append(hidden)
    return found


def _sigmoid(x: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-x))


def naive_linear(own: Weights, name: str, x: Doubles) -> Doubles:
    """Return ``W x + b``."""
    made: Doubles = own[f"{name}.weight"] @ x + own[f"{name}.bias"]
    return made


def naive_norm(own: Weights, name: str, x: Doubles) -> Doubles:
    """Return the layer norm of one vector."""
    centred = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-5)
    made: Doubles = centred * own[f"{name}.weight"] + own[f"{name}.bias"]
    return made


def naive_attention(
    own: Weights, nodes: list[Doubles], others: list[Doubles], edges: list[tuple[int, int]]
) -> tuple[dict[tuple[int, int], Doubles], list[Doubles]]:
    """Return α of each edge ``[heads]``, and the nodes before layer norm and ReLU."""
    heads, size = own["affinity"].shape
    alphas: dict[tuple[int, int], Doubles] = {}
    made = []
    for i, node in enumerate(nodes):
        look = naive_linear(own, "own", node)
        seen = [j for k, j in edges if k == i]
        gathered = np.zeros(len(look))
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            logits = []
            for j in seen:
                met = (look + naive_linear(own, "other", others[j]))[part]
                slack = np.where(met > 0, met, 0.2 * met)
                logits.append(float(own["affinity"][head] @ slack + own["bias"][head]))
            powers = [math.exp(each - max(logits)) for each in logits]
            for j, power in zip(seen, powers, strict=True):
                alpha = power / sum(powers)
                alphas.setdefault((i, j), np.zeros(heads))[head] = alpha
                gathered[part] += alpha * naive_linear(own, "value", others[j])[part]
        made.append(look + gathered)
    return alphas, made


def naive_texts(
    module: Any, graph: Any, vector: Any, places: bool = False
) -> tuple[list[Doubles], Doubles]:
    """Encode one graph: entities and caption before they are brought to unit length.

    Parameters
    ----------
    module
        A `TextBranch` in evaluation mode.
    graph
        A list of ``(name, attributes)`` and a list of ``(subject, predicate, object)``.
    vector
        Returns the vector of a phrase.
    """
    own = weights_of(module)
    objects, relations = graph

    def read(layer: str, phrase: str) -> Doubles:
        return np.maximum(naive_linear(own, layer, vector(phrase)), 0)

    entities = []
    for name, attributes in objects:
        star = [read("node", name), *(read("node", word) for word in attributes)]
        edges = [(0, other) for other in range(len(star))]
        _, made = naive_attention(under(own, "star."), star[:1], star, edges)
        entities.append(np.maximum(naive_norm(own, "star.norm", made[0]), 0))
    nodes = list(entities)
    if places:
        nodes = [
            naive_norm(own, "place_norm", each + naive_linear(own, "place", naive_sinusoid(k, 16)))
            for k, each in enumerate(nodes)
        ]
    at: list[list[Doubles]] = [[] for _ in nodes]
    related = {(k, k) for k in range(len(nodes))}
    for subject, predicate, target in relations:
        words = read("relation", predicate)
        for here, there, layer in ((subject, target, "active"), (target, subject, "passive")):
            joined = np.concatenate([words, nodes[there]])
            at[here].append(np.maximum(naive_linear(own, layer, joined), 0))
        related |= {(subject, target), (target, subject)}
    nodes = [
        naive_norm(own, "norm", each + (sum(found) / len(found) if found else 0))
        for each, found in zip(nodes, at, strict=True)
    ]
    for number in range(2):
        inner = under(own, f"layers.{number}.")
        _, made = naive_attention(inner, nodes, nodes, sorted(related))
        nodes = [np.maximum(naive_norm(inner, "norm", each), 0) for each in made]
    return entities, naive_gpo(nodes, naive_gpo_weights(module.pool, len(nodes)))


def naive_pictures(module: Any, regions: Any, heads: int) -> Doubles:
    """Encode one picture, before it is brought to unit length."""
    own = weights_of(module)
    seen, asked = [], []
    for place, region in enumerate(np.asarray(regions, np.float64)):
        inner = np.maximum(naive_linear(own, "mlp.0", region), 0)
        seen.append(naive_linear(own, "linear", region) + naive_linear(own, "mlp.2", inner))
        placed = seen[-1] + naive_linear(own, "place", naive_sinusoid(place, 16))
        asked.append(naive_norm(own, "norm", placed))
    parts = [np.split(naive_linear(own, "attention.inside", each), 3) for each in asked]
    made = []
    for row, (query, _, _) in zip(seen, parts, strict=True):
        size = len(query) // heads
        looked = np.zeros(len(query))
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            logits = [float(query[part] @ key[part]) / math.sqrt(size) for _, key, _ in parts]
            powers = [math.exp(each - max(logits)) for each in logits]
            for power, (_, _, value) in zip(powers, parts, strict=True):
                looked[part] += power / sum(powers) * value[part]
        whole = row + naive_linear(own, "attention.out", looked)
        fed = np.maximum(naive_linear(own, "feed.0", naive_norm(own, "feed_norm", whole)), 0)
        made.append(whole + naive_linear(own, "feed.2", fed))
    return naive_gpo(made, naive_gpo_weights(module.pool, len(made)))
