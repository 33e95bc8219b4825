"""Cola's multimodal adapter over frozen cells and words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from crossrank.plugin.torch_weights import WeightsFile

FILE = WeightsFile(
    "cola", "crossrank-cola/1", "weights of cola", "train some with research/train_cola.py"
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What an adapter is built from.

    Parameters
    ----------
    cell, word
        Sizes of the frozen features of a cell and of a word.
    dim, hidden, heads
        Of the transformer's layers: tokens, their perceptron, and heads of attention.
    encoder
        Of which encoder the features are, as collections remember it; empty for any.
    """

    cell: int = 1280
    word: int = 384
    dim: int = 128
    hidden: int = 256
    heads: int = 4
    encoder: str = ""


class MMAdapter(nn.Module):
    """One encoder layer over a picture's cells and a text's words, one decoder layer, one query.

    With cells and words projected to tokens ``v_r`` and ``t_w``, ``m = Encoder([v; t])`` and
    ``z = Decoder(p, m)`` for a learned proposal ``p``; the score is ``mean_w <z, t_w> / √D``, which
    is Cola's up to the constant.  Both end in a layer norm, as `torch.nn.Transformer` does.

    Parameters
    ----------
    sizes
        How large it is.
    dropout
        Probability of dropping a unit in training.
    """

    def __init__(self, sizes: Sizes, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = sizes
        self.cells = nn.Sequential(nn.LayerNorm(sizes.cell), nn.Linear(sizes.cell, sizes.dim))
        self.words = nn.Sequential(nn.LayerNorm(sizes.word), nn.Linear(sizes.word, sizes.dim))
        shape = sizes.dim, sizes.heads, sizes.hidden, dropout
        self.encoder = nn.TransformerEncoderLayer(*shape, batch_first=True)
        self.encoder_norm = nn.LayerNorm(sizes.dim)
        self.decoder = nn.TransformerDecoderLayer(*shape, batch_first=True)
        self.decoder_norm = nn.LayerNorm(sizes.dim)
        self.proposal = nn.Parameter(torch.randn(sizes.dim))

    def forward(self, cells: Tensor, words: Tensor, own_cells: Tensor, own_words: Tensor) -> Tensor:
        """Score pairs.

        Parameters
        ----------
        cells, words
            ``[n, R, dim]`` and ``[n, L, dim]``: what `cells` and `words` made of the features.
        own_cells, own_words
            ``[n, R]`` and ``[n, L]`` bool: False for padding.

        Returns
        -------
        Tensor
            ``[n]``.
        """
        padding = ~torch.cat([own_cells, own_words], dim=1)
        memory = self.encoder_norm(
            self.encoder(torch.cat([cells, words], dim=1), src_key_padding_mask=padding)
        )
        asked = self.proposal.expand(len(cells), 1, -1)
        answer = self.decoder_norm(self.decoder(asked, memory, memory_key_padding_mask=padding))
        products = (words * answer).sum(dim=2).masked_fill(~own_words, 0)
        scores: Tensor = products.sum(dim=1) / own_words.sum(dim=1) / self.sizes.dim**0.5
        return scores

    @torch.inference_mode()
    def attention(self, cells: Tensor, words: Tensor) -> Tensor:
        """Return ``[L, R]``: how much each word of one text looks at each cell of one picture.

        Parameters
        ----------
        cells, words
            ``[R, dim]`` and ``[L, dim]``.
        """
        tokens = torch.cat([cells, words])[None]
        weights = self.encoder.self_attn(tokens, tokens, tokens, need_weights=True)[1]
        found: Tensor = weights[0, len(cells) :, : len(cells)]
        return found


def load_network(path: str | Path) -> MMAdapter:
    """Read an adapter that ``FILE.save`` wrote; see `WeightsFile.load`."""
    return FILE.load(path, lambda sizes: MMAdapter(Sizes(**sizes)))
