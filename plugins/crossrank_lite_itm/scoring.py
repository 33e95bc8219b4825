"""Scoring the pairs of a block: one item against the others that it stands with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crossrank import Pairs
from crossrank_lite_itm.network import LiteItm
from crossrank_lite_itm.projection import Floats, Integers, Projected

MOST_ENTRIES = 1 << 19
"""Entries of a similarity map that is held at a time: 2 MB, a few times over."""


@dataclass(frozen=True, slots=True)
class ItmState:
    """What all blocks of a run share.

    Parameters
    ----------
    pictures, texts
        The projected cells and words.
    device
        The device of torch that scores, None for the processor.
    """

    pictures: Projected
    texts: Projected
    device: str | None = None

    def known(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return ``[P]`` whether both items of a pair have anything to compare."""
        texts, pictures = pairs.text_rows, pairs.image_rows
        return self.texts.has_vectors(texts) & self.pictures.has_vectors(pictures)


@torch.inference_mode()
def score_pairs(network: LiteItm, state: ItmState, pictures: Integers, texts: Integers) -> Floats:
    """Return ``[P]`` the scores of pairs.

    The side with fewer distinct items is gone through one by one, each item with all it is paired
    with, so that no pair is scored for nothing and no item is gathered twice.
    """
    scores = np.empty(len(pictures), np.float32)
    by_picture = len(np.unique(pictures)) <= len(np.unique(texts))
    anchors, others, side = (
        (pictures, texts, state.texts) if by_picture else (texts, pictures, state.pictures)
    )
    lengths = side.vectors.lengths[side.place[others]]
    cells = int(state.pictures.vectors.lengths.max(initial=1))
    for group in _groups(anchors, others, lengths):
        words = state.texts.vectors.lengths[state.texts.place[texts[group]]]
        most = max(1, MOST_ENTRIES // (cells * int(words.max())))
        for start in range(0, len(group), most):
            part = group[start : start + most]
            scores[part] = _against(network, state, by_picture, anchors[part[0]], others[part])
    return scores


def _against(
    network: LiteItm, state: ItmState, by_picture: bool, anchor: np.int64, others: Integers
) -> Floats:
    own = np.array([anchor])
    pictures, texts = (own, others) if by_picture else (others, own)
    cells, cell_mask = state.pictures.padded(pictures)
    words, word_mask = state.texts.padded(texts)
    sides = (cells, words, cell_mask, word_mask)
    moved = (None if each is None else each.to(state.device) for each in sides)
    found: Floats = network(*moved).cpu().numpy().ravel()
    return found


def _groups(anchors: Integers, others: Integers, lengths: Integers) -> Iterator[Integers]:
    """Yield the places of the pairs of each anchor, short partners first: they are padded less."""
    order = np.lexsort((others, lengths, anchors))
    starts = np.flatnonzero(np.diff(anchors[order], prepend=-1))
    yield from np.split(order, starts[1:])


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
