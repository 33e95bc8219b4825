"""A network applied to collections: a unit row for every picture and every text that occurs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.pairs import Side
from crossrank.plugin.torch_device import exact_products
from crossrank_cora.network import Cora
from crossrank_cora.packed import Integers, Phrases, pack
from crossrank_cora.phrases import phrase_vectors
from crossrank_graphs import graphs_of

Floats = NDArray[np.float32]
MOST_ROWS = 1 << 13
"""Regions, or objects with their padding, that are encoded at a time."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit rows of the items of a collection that occur.

    Parameters
    ----------
    vectors
        ``[n, dim]`` float32.
    known
        ``[n]`` whether there was anything to encode; the row of another item is zero.
    place
        ``[N]`` the place of each item of the collection among them.
    """

    vectors: Floats
    known: NDArray[np.bool_]
    place: Integers


@torch.inference_mode()
def embed_pictures(
    network: Cora, pictures: Side, device: str | None, tell: cr.Progress
) -> Embedded:
    """Encode the raw regions of the pictures that occur."""
    regions, rows = pictures.collection["regions"], pictures.rows
    lengths = regions.lengths[rows]
    vectors = np.zeros((len(rows), network.sizes.dim), np.float32)
    for part in chunks(lengths):
        counts = torch.from_numpy(lengths[part])
        table = np.zeros((len(part), int(lengths[part].max()), network.sizes.region), np.float32)
        for place, row in enumerate(rows[part]):
            table[place, : regions.lengths[row]] = regions[row]
        with exact_products():
            seen = network.see(torch.from_numpy(table).to(device), counts.to(device))
        vectors[part] = seen.cpu().numpy()
        tell("cora: pictures", int((vectors.any(axis=1)).sum()), len(rows))
    return Embedded(vectors, lengths > 0, pictures.places)


@torch.inference_mode()
def embed_texts(network: Cora, texts: Side, device: str | None, tell: cr.Progress) -> Embedded:
    """Encode the graphs of the texts that occur."""
    phrases = Phrases()
    graphs = pack(graphs_of(texts.collection, texts.rows.tolist()), phrases)
    table = torch.from_numpy(phrase_vectors(list(phrases.rows))).to(device)
    lengths = graphs.objects.lengths
    vectors = np.zeros((len(texts), network.sizes.dim), np.float32)
    for part in chunks(lengths):
        with exact_products():
            _, captions = network.read(graphs.take(part), table)
        vectors[part] = captions.cpu().numpy()
        tell("cora: texts", int((vectors.any(axis=1)).sum()), len(texts))
    return Embedded(vectors, lengths > 0, texts.places)


def chunks(lengths: Integers) -> Iterator[Integers]:
    """Yield the places of items that are padded to one length, short ones first; none is empty."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= MOST_ROWS:
            stop += 1
        yield order[start:stop]
        start = stop
