"""A caption's graph as vectors: one for each object with its attributes, one for the whole."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from crossrank_cora.graph_attention import GraphAttention
from crossrank_cora.packed import PackedGraphs
from crossrank_cora.pooling import GeneralizedPooling
from crossrank_cora.sinusoid import sinusoid

PLACE = 16
"""Size of the sinusoid of a place."""
LAYERS = 2


class TextBranch(nn.Module):
    """The graph encoder of CORA.

    (1) An object looks at itself and at its attributes: the *entity*.  (2) A relation gives its
    subject ``FC[relation; object]`` and its object ``FC'[relation; subject]``, of which each entity
    takes the mean; then entities look at those they are related to, two layers of it.  (3) `gpo`.

    The authors' passive edge reads the entity that it is given to, with the line that would read
    the subject commented out; ours reads the subject.  They add the object's place in the caption,
    by which a graph would depend on the order in which its objects are listed: ours does it only
    with `places`.

    Parameters
    ----------
    phrase : int
        Size of a phrase vector.
    dim, heads : int
        Size of a node, and heads of its attention.
    places : bool
        Whether the place of an object in its graph is added.
    dropout : float
        Of nodes and edges, in training.
    """

    def __init__(
        self, phrase: int, dim: int, heads: int, places: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.node = nn.Linear(phrase, dim)
        self.relation = nn.Linear(phrase, dim)
        self.star = GraphAttention(dim, heads)
        self.place = nn.Linear(PLACE, dim) if places else None
        self.place_norm = nn.LayerNorm(dim) if places else None
        self.active = nn.Linear(2 * dim, dim)
        self.passive = nn.Linear(2 * dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(GraphAttention(dim, heads, dropout / 3) for _ in range(LAYERS))
        self.pool = GeneralizedPooling()
        self.drop = nn.Dropout(dropout)

    def forward(self, graphs: PackedGraphs, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Encode some graphs.

        Parameters
        ----------
        graphs : PackedGraphs
            G graphs with O objects in all.
        vectors : Tensor
            ``[P, phrase]``: the table that the graphs' phrases are rows of.

        Returns
        -------
        entities : Tensor
            ``[O, dim]``.
        captions : Tensor
            ``[G, dim]``; zeros for a graph without objects.
        """
        entities = self.entities(graphs, vectors)
        return entities, self.captions(graphs, entities, vectors)

    def entities(self, graphs: PackedGraphs, vectors: Tensor) -> Tensor:
        """Return ``[O, dim]``: every object with its attributes, and nothing else of the graph."""
        objects, attributes = graphs.objects.flat, graphs.attributes
        count, device = len(objects), vectors.device
        nodes = self._read(self.node, vectors, np.concatenate([objects, attributes.flat]))
        own = np.arange(count)
        edges = np.stack(
            [
                np.concatenate([own, np.repeat(own, attributes.lengths)]),
                np.arange(count + len(attributes.flat)),
            ]
        )
        looked: Tensor = self.star(nodes[:count], nodes, torch.from_numpy(edges).to(device))
        return looked

    def captions(self, graphs: PackedGraphs, entities: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[G, dim]`` of graphs whose entities are known."""
        device, lengths = entities.device, graphs.objects.lengths
        if self.place is not None and self.place_norm is not None:
            places = np.arange(len(entities)) - np.repeat(graphs.objects.offsets[:-1], lengths)
            waves = sinusoid(torch.from_numpy(places).to(device), PLACE).to(entities.dtype)
            entities = self.place_norm(entities + self.drop(self.place(waves)))
        subjects, objects = (torch.from_numpy(each).to(device) for each in graphs.ends())
        nodes = self.norm(
            entities + self._of_relations(graphs, entities, vectors, subjects, objects)
        )
        edges = symmetric(subjects, objects, len(nodes))
        nodes = self.drop(nodes)
        for number, layer in enumerate(self.layers):
            nodes = layer(nodes if number == 0 else self.drop(nodes), nodes, edges)
        pooled: Tensor = self.pool(*padded(nodes, torch.from_numpy(lengths).to(device)))
        return pooled

    def _of_relations(
        self,
        graphs: PackedGraphs,
        entities: Tensor,
        vectors: Tensor,
        subjects: Tensor,
        objects: Tensor,
    ) -> Tensor:
        """Return ``[O, dim]``: the mean of the edges at each entity, zeros where there is none."""
        read = self._read(self.relation, vectors, graphs.relations.flat[:, 0]).to(entities.dtype)
        active = self.active(torch.cat([read, entities[objects]], dim=1))
        passive = self.passive(torch.cat([read, entities[subjects]], dim=1))
        edges = self.drop(functional.relu(torch.cat([active, passive])).to(entities.dtype))
        ends = torch.cat([subjects, objects])
        total = torch.zeros_like(entities).index_add_(0, ends, edges)
        return total / torch.bincount(ends, minlength=len(entities)).clamp(min=1)[:, None]

    def _read(self, layer: nn.Module, vectors: Tensor, phrases: NDArray[np.int64]) -> Tensor:
        """Return ``[n, dim]``: phrases through a layer, each distinct one once."""
        distinct, places = np.unique(phrases, return_inverse=True)
        known = vectors[torch.from_numpy(distinct).to(vectors.device)]
        made = functional.relu(layer(known))[torch.from_numpy(places).to(vectors.device)]
        dropped: Tensor = self.drop(made)
        return dropped


def symmetric(subjects: Tensor, objects: Tensor, count: int) -> Tensor:
    """Return ``[2, E]``: edges between related nodes both ways, and from each to itself, once."""
    own = torch.arange(count, device=subjects.device)
    looks = torch.cat([own, subjects, objects])
    seen = torch.cat([own, objects, subjects])
    distinct = torch.unique(looks * count + seen)
    return torch.stack([distinct // max(count, 1), distinct % max(count, 1)])


def padded(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return rows that lie end to end as ``[G, N, D]``, zeros behind, and the lengths."""
    most = int(lengths.max()) if len(lengths) else 0
    own = torch.arange(most, device=rows.device) < lengths[:, None]
    table = rows.new_zeros(len(lengths), most, rows.shape[1])
    return table.masked_scatter(own[..., None].expand_as(table), rows), lengths
