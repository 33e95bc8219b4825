"""What a perturbation is: a matrix per image, layer and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from crossrank.errors import InputError
from crossrank_qperturb.cross_attention import Change


@dataclass(frozen=True, slots=True, eq=False)
class Perturbation:
    """What is added to the queries of B images: ``Q' = Q + Q M``.

    Parameters
    ----------
    matrices
        Per number of a layer M ``[B, heads, d, d]`` float32, symmetric; 0 for an image without
        boxes.
    preserve_norm
        Whether Q' is scaled back to the norm of Q.
    """

    matrices: Mapping[int, Tensor]
    preserve_norm: bool = False

    def __len__(self) -> int:
        """Return B."""
        return len(next(iter(self.matrices.values())))

    @property
    def nbytes(self) -> int:
        """The bytes that the matrices take."""
        return sum(each.numel() * each.element_size() for each in self.matrices.values())

    @classmethod
    def join(cls, parts: Sequence[Perturbation]) -> Perturbation:
        """Return the perturbation of the images of several ones, computed alike, in their order."""
        first = parts[0]
        joined = {
            number: torch.cat([part.matrices[number] for part in parts])
            for number in first.matrices
        }
        return cls(joined, first.preserve_norm)

    def take(self, rows: ArrayLike | Tensor) -> Perturbation:
        """Return the perturbation of some images, in the given order.

        Parameters
        ----------
        rows
            ``[M]`` integers; an image may stand more than once, as in a batch of pairs.

        Raises
        ------
        InputError
            If there is no such image.
        """
        chosen = rows.cpu().numpy() if isinstance(rows, Tensor) else np.asarray(rows)
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise InputError("qperturb: take() wants a vector of integers, the rows of the images")
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise InputError(
                f"qperturb: take() was given rows from {chosen.min()} to {chosen.max()} of a "
                f"perturbation of {len(self)} images"
            )
        index = torch.from_numpy(chosen.astype(np.int64))
        taken = {
            number: matrices.index_select(0, index.to(matrices.device))
            for number, matrices in self.matrices.items()
        }
        return Perturbation(taken, self.preserve_norm)

    def change(self, number: int) -> Change:
        """Return what the perturbation does to the queries ``[B, heads, n, d]`` of a layer.

        Images whose M is 0 keep their queries bit for bit.
        """
        matrices = self.matrices[number]
        perturbed = matrices.flatten(1).any(dim=1)
        if not perturbed.any():
            return lambda queries: queries

        def change(queries: Tensor) -> Tensor:
            if len(queries) != len(matrices):
                raise InputError(
                    f"qperturb: the perturbation is of {len(matrices)} images, but the model ran "
                    f"on a batch of {len(queries)}; gather one row per row of the batch with take()"
                )
            moved = queries + queries @ matrices.to(queries.device, queries.dtype)
            if self.preserve_norm:
                moved = moved * _ratio(queries, moved)
            return torch.where(perturbed.to(queries.device)[:, None, None, None], moved, queries)

        return change


def _ratio(queries: Tensor, moved: Tensor) -> Tensor:
    """Return what scales `moved` to the norm of `queries`; 1 where it has none."""
    norms = moved.norm(dim=-1, keepdim=True)
    return torch.where(norms > 0, queries.norm(dim=-1, keepdim=True) / norms, 1.0)
