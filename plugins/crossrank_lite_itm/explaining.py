"""What `LiteItmReranker.explain` shows of one pair: where each word looks."""

from __future__ import annotations

import numpy as np
import torch

from crossrank_lite_itm.network import LiteItm
from crossrank_lite_itm.projection import Floats
from crossrank_lite_itm.scoring import ItmState


@torch.inference_mode()
def word_attention(
    network: LiteItm, state: ItmState, picture: int, text: int
) -> tuple[Floats, Floats]:
    """Return where the words of a text look in a picture, and how much each word counts.

    Returns
    -------
    attention
        ``[L, R]``, the mean over the network's members; rows add up to 1.
    gates
        ``[L]``; they add up to 1.
    """
    cells, _ = state.pictures.padded(np.array([picture]))
    words, _ = state.texts.padded(np.array([text]))
    maps, gates = [], []
    for place, member in enumerate(network.attentions):
        own_cells, own_words = cells[:, :, place], words[:, :, place]
        similarity = (own_words[0] @ own_cells[0].T)[None, None]
        maps.append(member.word_attention(similarity)[0, 0])
        gates.append((own_words[0] @ member.word_gate).softmax(dim=0))
    return torch.stack(maps).mean(dim=0).numpy(), torch.stack(gates).mean(dim=0).numpy()
