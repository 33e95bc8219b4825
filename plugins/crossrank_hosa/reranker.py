"""The reranker ``hosa``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError
from crossrank.plugin.torch_device import device_of
from crossrank_hosa.explaining import Parts, links
from crossrank_hosa.folding import check_fold, to_fourier
from crossrank_hosa.gallery import HosaState, prepared
from crossrank_hosa.parameters import HosaParameters
from crossrank_hosa.scoring import LocalScores, score_pairs
from crossrank_hosa.vectors import VectorSource


class HosaReranker(cr.Reranker):
    """Aligns the query's tokens with the candidate's, and rebuilds them from the candidate's.

    ``s = s_local + β · mean_l cos(t_l, t̃_l) + γ · ⟨global, global⟩``: ``s_local`` is the mean (or
    sum) over the query's tokens t_l of the best product with a token of the candidate; ``t̃_l`` is
    the t-linear combination of the candidate's tokens nearest to t_l; global are the embeddings.
    The query is a text (words from regions) or an image (regions from words).
    """

    info = cr.RerankerInfo(
        name="hosa",
        summary="each word's best region, and how well the regions rebuild the word",
        paper="HOSA, high-order semantic alignment with the t-product, LREC-COLING 2024",
        query_features=("tokens", "embedding"),
        candidate_features=("tokens", "embedding"),
        explain_features=("token_text", "token_boxes", "labels", "boxes"),
        extra="hosa",
    )
    Parameters = HosaParameters

    @cached_property
    def source(self) -> VectorSource:
        """Where the vectors come from."""
        heads = self.params.heads
        return VectorSource(self.params.interaction, None if heads is None else Path(heads))

    def fingerprint(self) -> str:
        """Return a digest of the parameters and of the heads' file."""
        return cr.fingerprint([super().fingerprint(), self.source.digest])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return the tokens, or what the heads read, and the embeddings where they are used."""
        asked = self.source.features(context.queries.modality)
        listed = self.source.features(context.gallery.modality)
        both = () if self.params.gamma == 0 else ("embedding",)
        asked = tuple(dict.fromkeys((*asked, *both)))
        listed = tuple(dict.fromkeys((*listed, *both)))
        # One list of names for both sides: the tokens of both are prepared, but a query's are read.
        return cr.Needs(asked, listed, tuple(name for name in listed if name not in asked))

    def prepare(self, context: cr.Context) -> HosaState:
        """Refuse what cannot be scored, then factorise the candidates that occur."""
        device = device_of("hosa", context.device, "hosa", "float64")
        queries, gallery, lists = context.queries, context.gallery, context.lists
        items = np.unique(lists.index[lists.mask])
        asked = np.array([queries.row(id) for id in lists.query_ids], np.int64)
        self.source.check_empty(queries, asked[lists.mask.any(axis=1)])
        self.source.check_empty(gallery, items)
        sizes = self.source.size(queries), self.source.size(gallery)
        if len(items) and sizes[0] != sizes[1]:
            raise FeatureMismatchError(
                f"hosa: the queries' tokens have size {sizes[0]}, the gallery's {sizes[1]}; "
                "encode both with the same encoder"
            )
        lengths = gallery[self.source.token_feature(gallery.modality)].lengths[items]
        if self.params.beta != 0:
            most = int(lengths.max(initial=0)) + self.source.extra()
            check_fold(self.params.n3, sizes[1], most, f"a candidate {gallery.modality}")
        return prepared(context, items, self.source, self.params, device)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return ``s_local + β · reconstruction + γ · global``."""
        rows, columns = np.nonzero(block.mask)
        candidates = block.index[rows, columns]
        asked = self.source.vectors(block.queries, np.unique(rows))
        queries = cr.Ragged(
            to_fourier(asked.flat, self.params.n3).astype(np.float32), asked.lengths
        )
        of_queries = np.unique(rows, return_inverse=True)[1]
        of_gallery = state.place[block.candidate_rows[candidates]]
        local = _local_scores(state, queries, of_queries, of_gallery, self.params.n3)
        total = local.alignment + self.params.beta * local.rebuilt
        if self.params.reduction == "sum":
            total += local.alignment * (queries.lengths[of_queries] - 1)
        if self.params.gamma != 0:
            total += self.params.gamma * _products(block, rows, columns)
        values = np.zeros(block.mask.shape, np.float32)
        values[rows, columns] = total
        return cr.Scores(values)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return for each pair the reconstruction's coefficients, query part by candidate part."""
        scores = self.score(block, state).values
        evidence = []
        for row, place in np.argwhere(block.mask).tolist():
            candidate = int(block.index[row, place])
            found = links(
                self._parts(block.queries, row),
                self._parts(block.candidates, candidate),
                self.params.n3,
                self.params.ridge,
            )
            ids = block.queries.ids[row], block.candidates.ids[candidate]
            evidence.append(cr.Evidence(*ids, float(scores[row, place]), found))
        return evidence

    def _parts(self, collection: cr.Collection, row: int) -> Parts:
        vectors = self.source.vectors(collection, np.array([row])).flat
        return Parts.of(collection, row, vectors, len(vectors) - self.source.extra())


def _local_scores(
    state: HosaState,
    queries: cr.Ragged,
    of_queries: NDArray[np.int64],
    of_gallery: NDArray[np.int64],
    fold: int,
) -> LocalScores:
    if state.device is None:
        return score_pairs(queries, state.tables, of_queries, of_gallery, fold)
    from crossrank_hosa.device_kernel import score_pairs_on

    return score_pairs_on(state.device, queries, state.tables, of_queries, of_gallery, fold)


def _products(
    block: cr.Block, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return ``[P]``: the inner products of the pairs' embeddings, query by query."""
    products = np.zeros(block.mask.shape)
    for row in np.unique(rows).tolist():
        listed = block.candidates["embedding"][block.index[row]]
        products[row] = listed @ block.queries["embedding"][row]
    return products[rows, columns]
