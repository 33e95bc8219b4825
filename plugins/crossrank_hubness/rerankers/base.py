"""What the rerankers of this package share: a bank, and terms made of it beforehand."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.parameters import check
from crossrank_hubness.banks import BANK, FEATURE, QUERIES, Bank, opened, tell_shared, vectors
from crossrank_hubness.corrections import Terms, pair_products
from crossrank_hubness.matrices import Floats
from crossrank_hubness.run_sides import RunSides
from crossrank_hubness.streaming import log_sums


@dataclass(frozen=True, slots=True, kw_only=True)
class BankParameters:
    """What all of them take.

    Parameters
    ----------
    bank
        A collection of queries, or its folder; ``"queries"`` for the run's own, which makes the
        run transductive.
    """

    bank: Bank

    def __post_init__(self) -> None:
        check("a hubness correction", self, bank=BANK)


class BankReranker(cr.Reranker):
    """Corrects inner products of embeddings by what a bank says of queries and candidates.

    A subclass makes `terms`, and `corrected` of the pairs' similarities and them.
    """

    Parameters: ClassVar[type] = BankParameters
    params: Any

    def __init__(self, /, **params: Any) -> None:
        super().__init__(**params)
        if self.params.bank == QUERIES:
            self._looks_at_queries()

    def _looks_at_queries(self) -> None:
        self.info = dataclasses.replace(self.info, transductive=True)  # type: ignore[misc]

    @cached_property
    def bank(self) -> cr.Collection | None:
        """The bank, None where the run's own queries are it."""
        return opened(self.params.bank)

    def fingerprint(self) -> str:
        """Return a digest of the parameters and of what the banks hold."""
        content = {**self.given(), **self._banks()}
        return cr.fingerprint([type(self).__module__, type(self).__qualname__, content])

    def given(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return {
            each.name: getattr(self.params, each.name) for each in dataclasses.fields(self.params)
        }

    def _banks(self) -> dict[str, cr.Collection | None]:
        """Return the opened banks by the names of their parameters."""
        return {"bank": self.bank}

    def prepare(self, context: cr.Context) -> Any:
        """Compute the terms of all listed candidates, and of the queries where they have any."""
        sides = RunSides.of(context)
        if not len(sides.listed):
            return Terms(np.zeros(len(context.gallery)))
        return self.terms(sides)

    @abstractmethod
    def terms(self, sides: RunSides) -> Any:
        """Return what corrects the similarities of a run that has candidates."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the corrected similarities."""
        if not block.mask.any():
            return cr.Scores(np.zeros(block.mask.shape, np.float32))
        values = self.corrected(pair_products(block), block, state)
        return cr.Scores(values.astype(np.float32))

    def corrected(self, s: Floats, block: cr.Block, state: Any) -> Floats:
        """Return ``[Q, K]`` the scores of pairs with these similarities."""
        added: Floats = state.added(s, block)
        return added

    def bank_vectors(self, sides: RunSides) -> NDArray[np.float32]:
        """Return ``[m, D]`` the embeddings of the bank, checked against the run."""
        queries = sides.queries()
        if self.bank is None:
            return vectors(self.info.name, queries, queries, "the run's queries")
        bank = vectors(self.info.name, self.bank, sides.context.queries, "the bank")
        tell_shared(self.info.name, bank, np.ascontiguousarray(queries[FEATURE], np.float32))
        return bank

    def bank_collection(self, sides: RunSides) -> cr.Collection:
        """Return the bank as a collection, for a search."""
        return sides.queries() if self.bank is None else self.bank


class GalleryBankReranker(BankReranker):
    """One with a bank of candidates as well."""

    @cached_property
    def gallery_bank(self) -> cr.Collection | None:
        """The bank of candidates, None for the gallery itself."""
        return opened(self.params.gallery_bank)

    def _banks(self) -> dict[str, cr.Collection | None]:
        return {"bank": self.bank, "gallery_bank": self.gallery_bank}

    def gallery_vectors(self, sides: RunSides) -> NDArray[Any]:
        """Return ``[m, D]`` the embeddings of the bank of candidates, checked against the run."""
        gallery = sides.context.gallery
        if self.gallery_bank is None:
            rows: NDArray[Any] = gallery[FEATURE]
            return rows
        return vectors(self.info.name, self.gallery_bank, gallery, "the gallery bank")


def product_shares(reranker: BankReranker, sides: RunSides, bank: Any, beta: float) -> Floats:
    """Return ``[N]`` ``−log Σ_b exp(β ⟨b, g⟩)`` of the listed candidates."""
    sums = log_sums(
        sides.read_listed,
        len(sides.listed),
        bank,
        beta,
        sides.block_bytes,
        sides.report(f"{reranker.info.name}: sums", len(sides.listed)),
    )
    return sides.of_candidates(-sums)


EMBEDDINGS: dict[str, Any] = {
    "query_features": (FEATURE,),
    "candidate_features": (FEATURE,),
}
"""What `info` of all of them says alike."""
