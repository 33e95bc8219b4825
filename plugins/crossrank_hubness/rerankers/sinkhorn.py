"""The reranker ``sinkhorn``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.plugin.hookspecs import gives
from crossrank.plugin.parameters import boolean, check, positive
from crossrank_hubness.balance import potentials
from crossrank_hubness.banks import vectors
from crossrank_hubness.corrections import Terms, exponentials, pair_products
from crossrank_hubness.matrices import Floats
from crossrank_hubness.rerankers.base import EMBEDDINGS
from crossrank_hubness.run_sides import RunSides
from crossrank_hubness.streaming import products

TOLERANCE = 1e-6
"""How far, relatively, a sum may be from its share: float32 tells no less."""
MOST_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class SinkhornParameters:
    """What may be chosen.

    Parameters
    ----------
    temperature
        Above 0; the lower, the nearer to a one-to-one assignment, and the slower.
    log
        Whether scores are logarithms, which float32 holds for any temperature.
    """

    temperature: float = 0.05
    log: bool = False

    def __post_init__(self) -> None:
        check("sinkhorn", self, temperature=positive, log=boolean)


class SinkhornReranker(cr.Reranker):
    """Scales ``exp(s / temperature)``, run's queries × whole gallery, to uniform marginals.

    Transductive: every query gets the same share of the candidates, and every candidate of them.
    """

    info = cr.RerankerInfo(
        name="sinkhorn",
        summary="optimal transport: every query and every candidate gets an equal share",
        paper="Cuturi, Sinkhorn Distances, NIPS 2013",
        transductive=True,
        **EMBEDDINGS,
    )
    Parameters: ClassVar[type] = SinkhornParameters
    params: SinkhornParameters

    def prepare(self, context: cr.Context) -> Terms:
        """Balance the run's queries and the gallery."""
        sides = RunSides.of(context)
        gallery = context.gallery
        if not len(sides.listed):
            return Terms(np.zeros(len(gallery)))
        queries = sides.queries()
        rows = vectors("sinkhorn", queries, queries, "the run's queries")
        listed = vectors("sinkhorn", gallery, gallery, "the gallery")
        fits = 8 * len(rows) * len(listed) <= 2 * sides.block_bytes
        kept = list(products(rows, listed, sides.block_bytes)) if fits else None

        def blocks() -> Iterable[tuple[slice, Floats]]:
            return products(rows, listed, sides.block_bytes) if kept is None else kept

        scale = 1 / self.params.temperature
        of_queries, of_candidates = potentials(
            blocks,
            (len(rows), len(listed)),
            scale,
            TOLERANCE,
            MOST_ROUNDS,
            sides.report("sinkhorn: rounds", MOST_ROUNDS),
        )
        return Terms(of_candidates, sides.of_queries(of_queries), scale)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the balanced kernel's entries."""
        logarithms = state.added(pair_products(block), block)
        values = exponentials("sinkhorn", "1 / temperature", logarithms, block, self.params.log)
        return cr.Scores(values.astype(np.float32))


crossrank_reranker = gives("crossrank_hubness.rerankers.sinkhorn:SinkhornReranker")
