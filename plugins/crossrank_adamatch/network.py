"""The network of ``adamatch``: adaptive patches, and heads for patches and words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from crossrank.plugin.torch_weights import WeightsFile
from crossrank_adamatch.ada_patch import AdaPatch

FILE = WeightsFile(
    "adamatch",
    "crossrank-adamatch/1",
    "weights of adamatch",
    "train some with research/train_adamatch.py",
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a network is built from.

    Parameters
    ----------
    cell, word
        Sizes of the features of a cell and of a word.
    map
        Size of what the cells' features are projected to before they are sampled.  Sampling is
        linear, so this only bounds the rank of what joins the samples.
    patch, hidden, dim
        Sizes of an adaptive token, of the heads' hidden layer and of the shared space.
    offsets
        Channels of the convolution that the boxes come from.
    fixed
        Whether the boxes stay as they start.
    residual
        Whether what the heads say is added to what is there: cells and words are unit rows of the
        shared space already, of size `dim`, and `map` is not used.
    cells, words
        The features that are read of images and of texts.
    encoder
        Of which encoder, as collections remember it; empty for any.
    """

    cell: int = 1280
    word: int = 384
    map: int = 128
    patch: int = 128
    hidden: int = 256
    dim: int = 192
    offsets: int = 32
    fixed: bool = False
    residual: bool = False
    cells: str = "regions"
    words: str = "words"
    encoder: str = ""


class MatchHead(nn.Module):
    """Two convolutions of width one with batch norms, the last without a scale, then unit length.

    Parameters
    ----------
    features, hidden, out
        Sizes of what comes in, of the layer between and of what goes out.
    dropout
        Probability of dropping a hidden unit.
    """

    def __init__(self, features: int, hidden: int, out: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out, bias=False),
            nn.BatchNorm1d(out, affine=False),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return unit rows ``[..., out]`` of rows ``[..., features]``.

        In training, the norms are those of all rows together: hand over no padding.
        """
        flat = self.layers(rows.flatten(0, -2))
        return functional.normalize(flat, dim=-1).view(*rows.shape[:-1], -1)


GATE = 0.1
"""The share of a head beside what is there, to begin with."""


class AdaMatch(nn.Module):
    """Brings adaptive patches and words into one space (AdaMatch, ACL 2024).

    With ``sizes.residual``, which is ours, the cells and words of a trained encoder keep what they
    say: a patch is ``unit(mean of its samples + g · head)``, a word ``unit(word + g · head)``, each
    side with a gate g that is learned.

    Parameters
    ----------
    sizes
        What it is built from.
    dropout
        Of the heads, in training.

    Raises
    ------
    ValueError
        If sizes of a residual network differ where they must not.
    """

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__()
        if sizes.residual and {sizes.cell, sizes.word} != {sizes.dim}:
            raise ValueError(
                f"a residual network adds to cells and words: {sizes.cell} and {sizes.word} must "
                f"be dim, {sizes.dim}"
            )
        self.sizes = sizes
        self.of_words = nn.LayerNorm(sizes.word)
        if sizes.residual:
            self.of_cells: nn.Module = nn.Identity()
            map = sizes.cell
            self.gates = nn.Parameter(torch.full((2,), GATE))
        else:
            project = nn.Linear(sizes.cell, sizes.map)
            self.of_cells = nn.Sequential(nn.LayerNorm(sizes.cell), project)
            map = sizes.map
        self.patches = AdaPatch(map, sizes.patch, hidden=sizes.offsets, fixed=sizes.fixed)
        self.patch_head = MatchHead(sizes.patch, sizes.hidden, sizes.dim, dropout)
        self.word_head = MatchHead(sizes.word, sizes.hidden, sizes.dim, dropout)

    def look(self, cells: Tensor, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the patches of pictures.

        Parameters
        ----------
        cells
            Float, ``[B, H, W, cell]``.
        chosen
            See `AdaPatch.forward`.

        Returns
        -------
        tokens, boxes
            ``[B, P, dim]`` unit rows, and ``[B, P, 4]`` in [0, 1] of the grid.
        """
        samples, boxes = self.patches.sampled(self.of_cells(cells), chosen)
        tokens: Tensor = self.patch_head(self.patches.joined(samples))
        if self.sizes.residual:
            tokens = functional.normalize(samples.mean(dim=2) + self.gates[0] * tokens, dim=-1)
        return tokens, boxes

    def read(self, words: Tensor) -> Tensor:
        """Return unit rows ``[n, dim]`` of words ``[n, word]``."""
        rows: Tensor = self.word_head(self.of_words(words))
        if self.sizes.residual:
            rows = functional.normalize(words + self.gates[1] * rows, dim=-1)
        return rows


def save_network(network: AdaMatch, path: str | Path) -> None:
    """Write a network's weights in float16; see `WeightsFile.save`."""
    FILE.save(network, network.sizes, path, half=True)


def load_network(path: str | Path) -> AdaMatch:
    """Read what `save_network` wrote; see `WeightsFile.load`."""
    return FILE.load(path, lambda sizes: AdaMatch(Sizes(**sizes)))


__all__ = ["AdaMatch", "MatchHead", "Sizes", "load_network", "save_network"]
