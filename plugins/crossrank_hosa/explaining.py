"""What `HosaReranker.explain` shows of one pair: from which parts each query token is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.optional import needs
from crossrank.plugin.parts import Part, link, parts_of


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one item and what to call them.

    Parameters
    ----------
    vectors
        ``[L, D]`` unit rows.
    parts
        ``[L]`` names and boxes; the global vector is ``"global"``.
    """

    vectors: NDArray[np.float64]
    parts: tuple[Part, ...]

    @classmethod
    def of(
        cls, collection: cr.Collection, row: int, vectors: NDArray[np.float64], tokens: int
    ) -> Vectors:
        """Name the vectors of an item, of which the first `tokens` are its own."""
        whole = (Part("global"),) * (len(vectors) - tokens)
        return cls(vectors, (*parts_of(collection, row, tokens), *whole))


def rebuilding_links(
    query: Vectors, candidate: Vectors, fold: int, ridge: float
) -> Iterator[cr.Link]:
    """Yield a link from each query part to each candidate part it is rebuilt from.

    The coefficient of a pair is a tube ``H_rl`` of n3 numbers; its weight is what the pair adds to
    the cosine of the reconstruction, ``⟨v_r ∗ H_rl, t_l⟩ / (‖t_l‖ ‖t̃_l‖)``.  The weights of a query
    part add up to that cosine.
    """
    with needs("hosa's evidence", "hosa", "torch")():
        import torch

        from crossrank_hosa.algebra import tlstsq, tproduct

    def tensor(vectors: NDArray[np.float64]) -> torch.Tensor:
        folded = torch.from_numpy(np.ascontiguousarray(vectors)).reshape(len(vectors), -1, fold)
        return folded.movedim(0, 1)

    v, t = tensor(candidate.vectors), tensor(query.vectors)
    coefficients = tlstsq(v, t, ridge * float((candidate.vectors**2).sum(axis=1).mean()))
    rebuilt = tproduct(v, coefficients)
    shares = torch.stack(
        [
            (tproduct(v[:, [part]], coefficients[[part]]) * t).sum(dim=(0, 2))
            for part in range(v.shape[1])
        ],
        dim=1,
    )
    lengths = rebuilt.square().sum(dim=(0, 2)).sqrt() * t.square().sum(dim=(0, 2)).sqrt()
    weights = torch.where(lengths[:, None] > 0, shares / lengths[:, None], 0.0).tolist()
    for asked, row in zip(query.parts, weights, strict=True):
        for listed, weight in zip(candidate.parts, row, strict=True):
            yield link(asked, listed, weight)
