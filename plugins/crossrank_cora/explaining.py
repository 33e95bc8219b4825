"""What `CoraReranker.explain` shows of one pair: every entity's score, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.parts import Part, link, parts_of
from crossrank_cora.network import Cora
from crossrank_cora.packed import Phrases, pack
from crossrank_cora.phrases import phrase_vectors
from crossrank_cora.pooling import gpo_parts
from crossrank_graphs import graphs_of


@torch.inference_mode()
def entity_links(
    network: Cora,
    texts: cr.Collection,
    text: int,
    pictures: cr.Collection,
    picture: int,
    asks: bool,
) -> Iterator[cr.Link]:
    """Yield a link for every object of the text, with its attributes, to the region that says it.

    Generalised pooling adds up parts of regions, so an entity's score is the sum of what the
    regions give it; the link leads to the one that gives most.
    """
    (graph,) = graphs_of(texts, [text])
    regions = np.asarray(pictures["regions"][picture], np.float32)
    phrases = Phrases()
    packed = pack([graph], phrases)
    entities, _ = network.read(packed, torch.from_numpy(phrase_vectors(list(phrases.rows))))
    given = region_shares(network, regions, entities).numpy()
    parts = parts_of(pictures, picture, len(regions), names=())
    for thing, shares in zip(graph.objects, given, strict=True):
        yield link(Part(thing.phrase), parts[int(shares.argmax())], shares.sum(), asks=asks)


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
