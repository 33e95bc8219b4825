"""The student: a dual encoder of small heads over frozen features.

It starts as the encoder's own embedding and learns what to add, so that before training it ranks
exactly as the base matcher does, whatever the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class StudentSizes:
    """How large a student and what it reads are.

    Parameters
    ----------
    embedding, token
        Sizes of an embedding and of a token.
    anchors
        How many anchors the tokens of an item are held against.
    hidden
        Width of the perceptron.
    dropout
        Probability of dropping a number of a summary in training; a hidden unit twice as often.
    """

    embedding: int
    token: int
    anchors: int = 512
    hidden: int = 256
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.embedding, self.token, self.anchors, self.hidden) < 1:
            raise ParameterError(f"cprd: the sizes of a student must be at least 1; got {self}")
        if not 0 <= self.dropout < 0.5:
            raise ParameterError(f"cprd: dropout is {self.dropout}; give a number in [0, 0.5)")


class Tower(nn.Module):
    """One side: ``unit(e + A p + V gelu(U [√D e, p]))`` of an embedding e and a summary p.

    A and V start at zero, and with them what is added.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, sizes: StudentSizes) -> None:
        super().__init__()
        summary = sizes.token + sizes.anchors
        self.register_buffer("mean", torch.zeros(summary))
        self.register_buffer("spread", torch.ones(summary))
        self.drop = nn.Dropout(sizes.dropout)
        self.direct = nn.Linear(summary, sizes.embedding, bias=False)
        self.hidden = nn.Linear(sizes.embedding + summary, sizes.hidden)
        self.drop_hidden = nn.Dropout(2 * sizes.dropout)
        self.out = nn.Linear(sizes.hidden, sizes.embedding, bias=False)
        nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.out.weight)

    def measure(self, summary: Tensor, floor: float = 0.05) -> None:
        """Set mean and spread from the training split; numbers that hardly vary are kept small."""
        spread = summary.std(dim=0)
        self.mean.copy_(summary.mean(dim=0))
        self.spread.copy_(spread + floor * spread.mean() + 1e-6)

    def standardise(self, summary: Tensor) -> Tensor:
        """Return summaries as `forward` reads them."""
        return (summary - self.mean) / self.spread

    def forward(self, embedding: Tensor, summary: Tensor) -> Tensor:
        """Embed items.

        Parameters
        ----------
        embedding : Tensor
            ``[N, D]`` unit rows, the encoder's own.
        summary : Tensor
            ``[N, S]``, standardised; see `crossrank_cprd.summary`.

        Returns
        -------
        Tensor
            ``[N, D]`` unit rows.
        """
        summary = self.drop(summary)
        # unit rows are scaled to what standardised numbers look like
        both = torch.cat([embedding * embedding.shape[1] ** 0.5, summary], dim=1)
        hidden = self.drop_hidden(functional.gelu(self.hidden(both)))
        added: Tensor = self.direct(summary) + self.out(hidden)
        return functional.normalize(embedding + added, dim=-1)


class Student(nn.Module):
    """Both towers, and the anchors they share."""

    anchors: Tensor

    def __init__(self, sizes: StudentSizes, anchors: NDArray[np.float32] | None = None) -> None:
        super().__init__()
        self.sizes = sizes
        shape = (sizes.anchors, sizes.token)
        given = torch.zeros(shape) if anchors is None else torch.from_numpy(anchors.copy())
        if given.shape != shape:
            raise ParameterError(
                f"cprd: the anchors are {tuple(given.shape)}, the student's sizes say {shape}"
            )
        self.register_buffer("anchors", given)
        self.image, self.text = Tower(sizes), Tower(sizes)
