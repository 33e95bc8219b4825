"""The student: a dual encoder of small heads over frozen features.

It starts as the encoder's own embedding and learns what to add, so that before training it ranks
exactly as the base matcher does, whatever the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class StudentSizes:
    """What a student reads and how large it is.

    Parameters
    ----------
    embedding
        Size of the encoder's embedding and of the student's.
    image, text
        Size of the summary of a picture's and of a text's parts.
    hidden
        Width of the perceptron.
    dropout
        Probability of dropping a number of a summary in training; a hidden unit twice as often.
    """

    embedding: int
    image: int
    text: int
    hidden: int = 512
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.embedding, self.image, self.text, self.hidden) < 1:
            raise ParameterError(f"cprd: the sizes of a student must be at least 1; got {self}")
        if not 0 <= self.dropout < 0.5:
            raise ParameterError(f"cprd: dropout is {self.dropout}; give a number in [0, 0.5)")


class Tower(nn.Module):
    """One side: ``unit(e + A p + V gelu(U [e, p]))`` of an embedding e and a summary p.

    A and V start at zero, and with them what is added.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, embedding: int, summary: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(summary))
        self.register_buffer("spread", torch.ones(summary))
        self.drop = nn.Dropout(dropout)
        self.direct = nn.Linear(summary, embedding, bias=False)
        self.hidden = nn.Linear(embedding + summary, hidden)
        self.drop_hidden = nn.Dropout(2 * dropout)
        self.out = nn.Linear(hidden, embedding, bias=False)
        nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.out.weight)

    def measure(self, summary: Tensor, floor: float = 0.05) -> None:
        """Set mean and spread from the training split; rarely used numbers are kept small."""
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
            ``[N, S]``, standardised.

        Returns
        -------
        Tensor
            ``[N, D]`` unit rows.
        """
        summary = self.drop(summary)
        # unit rows are scaled to what standardised features look like
        both = torch.cat([embedding * embedding.shape[1] ** 0.5, summary], dim=1)
        hidden = self.drop_hidden(functional.gelu(self.hidden(both)))
        added: Tensor = self.direct(summary) + self.out(hidden)
        return functional.normalize(embedding + added, dim=-1)


class Student(nn.Module):
    """Both towers."""

    def __init__(self, sizes: StudentSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.image = Tower(sizes.embedding, sizes.image, sizes.hidden, sizes.dropout)
        self.text = Tower(sizes.embedding, sizes.text, sizes.hidden, sizes.dropout)
