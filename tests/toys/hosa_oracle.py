"""HOSA from its definition: block-circulant matrices, one pair and one token at a time, float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.floating[Any]]


def bcirc(a: Doubles) -> Doubles:
    """Return the block-circulant matrix ``[n1 · n3, n2 · n3]`` of a tensor ``[n1, n2, n3]``."""
    n1, n2, n3 = a.shape
    matrix = np.zeros((n1 * n3, n2 * n3))
    for row in range(n3):
        for column in range(n3):
            block = a[:, :, (row - column) % n3]
            matrix[row * n1 : (row + 1) * n1, column * n2 : (column + 1) * n2] = block
    return matrix


def unfold(a: Doubles) -> Doubles:
    """Return the frontal slices below each other, ``[n1 · n3, n2]``."""
    return np.concatenate([a[:, :, k] for k in range(a.shape[2])], axis=0)


def fold_back(matrix: Doubles, n3: int) -> Doubles:
    return np.stack(np.split(matrix, n3, axis=0), axis=2)


def folded(tokens: Doubles, n3: int) -> Doubles:
    """Return tokens ``[R, D]`` as lateral slices, ``[n1, R, n3]``, folded row by row."""
    return np.stack([token.reshape(-1, n3) for token in tokens], axis=1)


def coefficients(v: Doubles, t: Doubles, penalty: float) -> Doubles:
    matrix = bcirc(v)
    normal = matrix.T @ matrix + penalty * np.eye(matrix.shape[1])
    return fold_back(np.linalg.solve(normal, matrix.T @ unfold(t)), v.shape[2])


def unit(rows: Doubles) -> Doubles:
    doubles = np.asarray(rows, np.float64)
    return np.asarray(doubles / np.linalg.norm(doubles, axis=1, keepdims=True))


def cosines(asked: Doubles, listed: Doubles, n3: int, ridge: float) -> list[float]:
    """Return the cosine of each asked token and its reconstruction from the listed ones."""
    v, t = folded(listed, n3), folded(asked, n3)
    spectrum = np.fft.fft(v, axis=2)
    traces = [np.trace(spectrum[:, :, k].conj().T @ spectrum[:, :, k]).real for k in range(n3)]
    penalty = ridge * float(np.mean(traces)) / len(listed)
    rebuilt = bcirc(v) @ unfold(coefficients(v, t, penalty))
    return [
        float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
        for x, y in zip(unfold(t).T, rebuilt.T, strict=True)
    ]


def score(
    asked: Doubles,
    listed: Doubles,
    globals_: tuple[Doubles, Doubles],
    *,
    beta: float,
    gamma: float,
    n3: int,
    ridge: float,
    reduction: str = "mean",
) -> float:
    asked, listed = unit(asked), unit(listed)
    best = [max(float(x @ y) for y in listed) for x in asked]
    local = sum(best) / (len(best) if reduction == "mean" else 1)
    rebuilt = float(np.mean(cosines(asked, listed, n3, ridge)))
    return local + beta * rebuilt + gamma * float(globals_[0] @ globals_[1])
