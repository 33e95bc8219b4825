"""The inner product of embeddings, with a switch for every way to misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import crossrank as cr
from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Parameters:
    """`behave`: ``"well"``, ``"not-finite"``, ``"raise"``, ``"shape"`` or ``"mutate"``."""

    sign: float = 1.0
    behave: str = "well"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sign == 0:
            raise ParameterError("toy: sign is 0; give another number")


class Toy(cr.Reranker):
    info = cr.RerankerInfo(
        "toy",
        "The inner product of embeddings.",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )
    Parameters = Parameters

    def score(self, block: cr.Block, state: object) -> cr.Scores:
        queries, candidates = block.queries["embedding"], block.candidates["embedding"]
        values = np.einsum("qd,qkd->qk", queries, candidates[block.index]) * self.params.sign
        if self.params.behave == "not-finite":
            values[0, 0] = np.nan
        if self.params.behave == "raise":
            raise RuntimeError("out of\nluck")
        if self.params.behave == "shape":
            values = values[:, :1]
        if self.params.behave == "mutate":
            queries[0] = 0
        return cr.Scores(values.astype(np.float32))

    def explain(self, block: cr.Block, state: object) -> Sequence[cr.Evidence]:
        scores = self.score(block, state).values
        found = []
        for row, query in enumerate(block.queries.ids):
            for place in np.flatnonzero(block.mask[row]):
                weight = scores[row, place]  # numpy's own float, as a careless plugin would give it
                links = (
                    cr.Link("dog", "patch 3", weight, candidate_box=(0.0, 0.25, 0.5, 1.0)),
                    cr.Link("the", "patch 1", float("nan")),
                )
                id = block.candidates.ids[block.index[row, place]]
                found.append(cr.Evidence(query, id, weight, links))
        return found
