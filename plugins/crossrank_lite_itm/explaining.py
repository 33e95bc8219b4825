"""What `LiteItmReranker.explain` shows of one pair: where each word looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank_lite_itm.network import LiteItm
from crossrank_lite_itm.projection import Floats
from crossrank_lite_itm.scoring import ItmState

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Names:
    """What to call the parts of one item.

    Parameters
    ----------
    names
        Words, or numbers.
    boxes
        Where each lies in the picture, None where that is not known.
    """

    names: tuple[str, ...]
    boxes: tuple[Box | None, ...]

    @classmethod
    def of(cls, collection: cr.Collection, row: int, count: int) -> Names:
        """Read one item; what it does not say of its parts becomes their numbers."""
        names = tuple(map(str, range(count)))
        if "token_text" in collection and len(collection["token_text"][row]) == count:
            names = tuple(map(str, collection["token_text"][row]))
        boxes: tuple[Box | None, ...] = (None,) * count
        if "token_boxes" in collection and len(collection["token_boxes"][row]) == count:
            boxes = tuple(_box(corners) for corners in collection["token_boxes"][row])
        return cls(names, boxes)


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


def links(
    attention: Floats, gates: Floats, picture: Names, text: Names, words_asked: bool
) -> tuple[cr.Link, ...]:
    """Return a link from each word to the cell it looks at most.

    The weight is the word's gate times its attention to that cell, so that words that count for
    little and words that look everywhere weigh little.
    """
    found = []
    for word, cell in enumerate(attention.argmax(axis=1).tolist()):
        weight = float(gates[word] * attention[word, cell])
        name, seen, box = text.names[word], picture.names[cell], picture.boxes[cell]
        found.append(
            cr.Link(name, seen, weight, candidate_box=box)
            if words_asked
            else cr.Link(seen, name, weight, query_box=box)
        )
    return tuple(found)


def _box(corners: NDArray[np.floating]) -> Box:
    x0, y0, x1, y1 = (float(corner) for corner in corners)
    return x0, y0, x1, y1
