"""What `CoraReranker.explain` shows of one pair: every entity's score, and where it comes from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank_cora.network import Cora
from crossrank_cora.packed import Phrases, pack
from crossrank_cora.phrases import phrase_vectors
from crossrank_cora.pooling import gpo_parts
from crossrank_graphs import graphs_of

Box = tuple[float, float, float, float]


@torch.inference_mode()
def entity_links(network: Cora, block: cr.Block, query: int, candidate: int) -> tuple[cr.Link, ...]:
    """Return a link for every object of the text, with its attributes, to the region that says it.

    Generalised pooling adds up parts of regions, so an entity's score is the sum of what the
    regions give it; the link leads to the one that gives most.

    Parameters
    ----------
    network
        On the processor.
    block
        With texts or graphs, and regions.
    query, candidate
        Rows of the block's sides.
    """
    sides = (block.queries, query), (block.candidates, candidate)
    (texts, text), (pictures, picture) = sides if block.direction == "t2i" else sides[::-1]
    (graph,) = graphs_of(texts, [text])
    regions = np.asarray(pictures["regions"][picture], np.float32)
    if not graph.objects or not len(regions):
        return ()
    phrases = Phrases()
    packed = pack([graph], phrases)
    entities, _ = network.read(packed, torch.from_numpy(phrase_vectors(list(phrases.rows))))
    given = region_shares(network, regions, entities).numpy()
    boxes = _boxes(pictures, picture, len(regions))
    found = []
    for thing, shares in zip(graph.objects, given, strict=True):
        best = int(shares.argmax())
        names, weight = (thing.phrase, str(best)), float(shares.sum())
        found.append(
            cr.Link(*names, weight, candidate_box=boxes[best])
            if block.direction == "t2i"
            else cr.Link(*names[::-1], weight, query_box=boxes[best])
        )
    return tuple(found)


def region_shares(
    network: Cora, regions: NDArray[np.float32], entities: torch.Tensor
) -> torch.Tensor:
    """Return ``[E, R]``: what each region gives to each entity's score; rows add up to the scores.

    Parameters
    ----------
    regions
        ``[R, region]``, raw.
    entities
        ``[E, dim]`` unit rows.
    """
    branch, lengths = network.pictures, torch.tensor([len(regions)])
    seen = branch.regions(
        network.of_regions(torch.from_numpy(np.array(regions, np.float32))[None]), lengths
    )
    parts = gpo_parts(seen[0], branch.pool.weights(lengths, len(regions))[0])
    shares: torch.Tensor = entities @ (parts / parts.sum(dim=0).norm()).T
    return shares


def _boxes(pictures: cr.Collection, row: int, count: int) -> list[Box | None]:
    """Return where the regions lie, None where that is not known."""
    for feature in ("token_boxes", "boxes"):
        if feature in pictures and len(pictures[feature][row]) == count:
            corners = np.asarray(pictures[feature][row], np.float64).tolist()
            return [(x0, y0, x1, y1) for x0, y0, x1, y1 in corners]
    return [None] * count
