"""Several cross attentions averaged, and the file that holds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from crossrank.errors import ParameterError
from crossrank.plugin.torch_weights import WeightsFile
from crossrank_lite.heads import Standardise
from crossrank_lite_itm.attention import CrossAttention

WEIGHTS = WeightsFile(
    "lite_itm",
    "crossrank-lite-itm/2",
    "weights of lite_itm",
    "give the path of weights written by research/train_lite_itm.py, or leave it out for its own",
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the network is, and what it reads.

    Parameters
    ----------
    region, word, token
        Sizes of a grid cell's raw features, of a word's raw vector and of its FILIP token.
    dim, hidden, evidence
        Of the shared space, of the heads' perceptrons and of the words'.
    members
        How many cross attentions are averaged.
    encoder
        The encoder whose features it was trained on, as `crossrank.Collection.encoder` names it;
        empty where that does not matter.
    """

    region: int = 1280
    word: int = 384
    token: int = 192
    dim: int = 192
    hidden: int = 96
    evidence: int = 32
    members: int = 1
    encoder: str = ""


class LiteItm(nn.Module):
    """The mean score of several `CrossAttention`, trained from different seeds.

    Raw cells are standardised as on the training split; a word is its standardised raw vector
    beside its FILIP token.

    Parameters
    ----------
    sizes : Sizes
        How large it is.
    dropout : float
        Probability of dropping a unit of a head in training.
    """

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.regions = Standardise(sizes.region)
        self.words = Standardise(sizes.word)
        self.members = nn.ModuleList(
            CrossAttention(
                sizes.region,
                sizes.word + sizes.token,
                sizes.dim,
                sizes.hidden,
                sizes.evidence,
                dropout,
            )
            for _ in range(sizes.members)
        )

    @property
    def attentions(self) -> list[CrossAttention]:
        """The members."""
        return [each for each in self.members if isinstance(each, CrossAttention)]

    def read_cells(self, regions: Tensor) -> Tensor:
        """Return what the heads of cells read: ``[..., region]``."""
        scaled: Tensor = self.regions(regions)
        return scaled

    def read_words(self, words: Tensor, tokens: Tensor) -> Tensor:
        """Return what the heads of words read: ``[..., word + token]``.

        The coordinates of a unit row have spread ``1/√token``; they are brought to 1 like the rest.
        """
        return torch.cat([self.words(words), tokens * self.sizes.token**0.5], dim=-1)

    def project_cells(self, regions: Tensor) -> Tensor:
        """Return ``[T, members, dim]`` of the raw cells ``[T, region]``, unit rows."""
        return self.heads_of_cells(self.read_cells(regions))

    def project_words(self, words: Tensor, tokens: Tensor) -> Tensor:
        """Return ``[T, members, dim]`` of words ``[T, word]`` and tokens ``[T, token]``."""
        return self.heads_of_words(self.read_words(words, tokens))

    def heads_of_cells(self, read: Tensor) -> Tensor:
        """Return ``[..., members, dim]`` of what `read_cells` returned."""
        return torch.stack([member.cell_head(read) for member in self.attentions], dim=-2)

    def heads_of_words(self, read: Tensor) -> Tensor:
        """Return ``[..., members, dim]`` of what `read_words` returned."""
        return torch.stack([member.word_head(read) for member in self.attentions], dim=-2)

    def forward(
        self,
        cells: Tensor,
        words: Tensor,
        cell_mask: Tensor | None = None,
        word_mask: Tensor | None = None,
    ) -> Tensor:
        """Score every picture with every text.

        Parameters
        ----------
        cells, words : Tensor
            ``[N, R, members, dim]`` and ``[M, L, members, dim]``, projected.
        cell_mask, word_mask : Tensor, optional
            As in :meth:`CrossAttention.forward`.

        Returns
        -------
        Tensor
            ``[N, M]``.
        """
        return torch.stack(
            [
                member(cells[:, :, place], words[:, :, place], cell_mask, word_mask)
                for place, member in enumerate(self.attentions)
            ]
        ).mean(dim=0)


def save_network(network: LiteItm, path: Path) -> None:
    """Write the network as float16; see `WeightsFile.save`."""
    WEIGHTS.save(network, network.sizes, path, half=True)


def load_network(path: Path, members: int | None = None) -> LiteItm:
    """Read a network, in evaluation mode and float32.

    Parameters
    ----------
    path
        What `save_network` wrote.
    members
        How many of its cross attentions to take, from the first; None for all.

    Raises
    ------
    StoreError
        If the file is missing, damaged or something else.
    ParameterError
        If it holds fewer members.
    """
    network = WEIGHTS.load(path, lambda sizes: LiteItm(Sizes(**sizes)))
    if members is not None:
        network = first_members(network, members, path)
    return network


def first_members(network: LiteItm, members: int, path: Path) -> LiteItm:
    """Return the network with fewer members."""
    sizes = network.sizes
    if members > sizes.members:
        raise ParameterError(
            f"lite_itm: members is {members}, but {path} holds {sizes.members}; "
            "give so many at most, or None for all"
        )
    network.members = network.members[:members]
    network.sizes = replace(sizes, members=members)
    return network
