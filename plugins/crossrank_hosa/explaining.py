"""What `HosaReranker.explain` shows of one pair: from which parts each query token is rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import missing_package

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Parts:
    """The vectors of one item and what to call them.

    Parameters
    ----------
    vectors
        ``[L, D]`` unit rows.
    names
        ``[L]`` words, or numbers; the global vector is ``"global"``.
    boxes
        ``[L]`` where each lies in the picture, None where that is not known.
    """

    vectors: NDArray[np.float64]
    names: tuple[str, ...]
    boxes: tuple[Box | None, ...]

    @classmethod
    def of(
        cls, collection: cr.Collection, row: int, vectors: NDArray[np.float64], tokens: int
    ) -> Parts:
        """Name the vectors of an item, of which the first `tokens` are its own."""
        names = [str(token) for token in range(tokens)]
        for feature in ("token_text", "labels"):
            if feature in collection and len(collection[feature][row]) == tokens:
                names = [str(word) for word in collection[feature][row]]
                break
        boxes: list[Box | None] = [None] * tokens
        for feature in ("token_boxes", "boxes"):
            if feature in collection and len(collection[feature][row]) == tokens:
                boxes = [_box(corners) for corners in collection[feature][row]]
                break
        more = len(vectors) - tokens
        return cls(vectors, (*names, *["global"] * more), (*boxes, *[None] * more))


def links(query: Parts, candidate: Parts, fold: int, ridge: float) -> tuple[cr.Link, ...]:
    """Return a link from each query part to each candidate part it is rebuilt from.

    The coefficient of a pair is a tube ``H_rl`` of n3 numbers; its weight is what the pair adds to
    the cosine of the reconstruction, ``⟨v_r ∗ H_rl, t_l⟩ / (‖t_l‖ ‖t̃_l‖)``.  The weights of a query
    part add up to that cosine.
    """
    try:
        import torch

        from crossrank_hosa.algebra import tlstsq, tproduct
    except ImportError as error:
        raise missing_package("torch", "hosa", "hosa's evidence") from error

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
    return tuple(
        cr.Link(
            query=query.names[asked],
            candidate=candidate.names[listed],
            weight=weight,
            query_box=query.boxes[asked],
            candidate_box=candidate.boxes[listed],
        )
        for asked, row in enumerate(weights)
        for listed, weight in enumerate(row)
    )


def _box(corners: NDArray[np.floating]) -> Box:
    x0, y0, x1, y1 = (float(corner) for corner in corners)
    return x0, y0, x1, y1
