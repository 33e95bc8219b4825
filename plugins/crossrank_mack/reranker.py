"""The reranker ``mack``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.torch_device import device_of
from crossrank_knowledge import KnowledgeBank
from crossrank_knowledge.checks import same_space
from crossrank_knowledge.vectors import region_vectors
from crossrank_mack.explaining import boxes_of, concept_text, links, names_of
from crossrank_mack.maxima import maxima
from crossrank_mack.parameters import MackParameters
from crossrank_mack.pooling import mean_over_regions, mean_over_words
from crossrank_mack.similarity import (
    ConceptVectors,
    Floats,
    Integers,
    concept_vectors,
    similarities,
)
from crossrank_mack.state import MackState, Pairs, pairs_of, places
from crossrank_mack.texts import known_concepts, phrases_of

REASON = "no noun of the text is in the knowledge bank, or the image has no regions"


class MackReranker(cr.Reranker):
    """Compares the prototypes of a text's nouns with the regions of an image.

    With unit word vectors Û ``[L, D]`` and regions V̂ ``[R, D]``, ``S = Û V̂ᵀ``: a text finds images
    by the mean over words of the best region, an image finds texts by the mean over regions of
    the best word (MACK, NeurIPS 2022).
    """

    info = cr.RerankerInfo(
        name="mack",
        summary="prototypes of a text's nouns against the regions of an image, without training",
        paper="Huang et al., MACK, NeurIPS 2022",
        query_features=("concepts",),
        candidate_features=("regions",),
        explain_features=("regions", "boxes", "token_boxes", "labels"),
        directions=("t2i", "i2t"),
        extra="mack",
    )
    Parameters = MackParameters

    @cached_property
    def bank(self) -> KnowledgeBank:
        """The knowledge bank, opened on first use."""
        given = self.params.knowledge
        return given if isinstance(given, KnowledgeBank) else KnowledgeBank.open(given)

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return concepts (or text to find them in) and regions, whichever side they are on."""
        texts = context.queries if context.direction == "t2i" else context.gallery
        of_text = ("concepts",) if "concepts" in texts else ("text",)
        in_advance = self._pooling(context.direction) == "t2i"
        prepare_only = (*of_text, "regions") if in_advance else of_text
        if context.direction == "t2i":
            return cr.Needs(of_text, ("regions",), prepare_only)
        return cr.Needs(("regions",), of_text, prepare_only)

    def prepare(self, context: cr.Context) -> MackState:
        """Find the concepts of all texts and, for the pooling of ``t2i``, the table of maxima."""
        device = device_of("mack", context.device, "knowledge")
        candidates = context.lists
        query_rows = np.array([context.queries.row(id) for id in candidates.query_ids], np.int64)
        gallery_rows = np.unique(candidates.index[candidates.mask])
        sides = ((context.queries, query_rows), (context.gallery, gallery_rows))
        text_side, image_side = sides if context.direction == "t2i" else sides[::-1]
        (texts, text_rows), (images, image_rows) = text_side, image_side
        same_space("mack", self.bank, images)
        phrases = phrases_of(texts, text_rows, self.params.parser, context.cache_folder)
        found = known_concepts(phrases, self.bank, self.params.no_noun)
        table = None
        if self._pooling(context.direction) == "t2i":
            table = maxima(
                self.bank, found.concepts, context, images, image_rows, self.params, device
            )
        return MackState(
            texts=found,
            text_place=places(text_rows, len(texts)),
            image_place=places(image_rows, len(images)),
            has_regions=images["regions"].lengths[image_rows] > 0,
            maxima=table,
            device=device,
        )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the mean over words of the best region, or over regions of the best word."""
        pairs = pairs_of(block, state)
        known = pairs.known
        values = np.zeros(block.mask.shape, np.float32)
        if state.maxima is not None:
            values[pairs.rows[known], pairs.columns[known]] = mean_over_words(
                state.maxima, state.texts.of_text, pairs.texts[known], pairs.images[known]
            )
        else:
            self._score_regions(block, state, pairs, values)
        if known.all():
            return cr.Scores(values)
        abstained = np.zeros(block.mask.shape, np.bool_)
        abstained[pairs.rows[~known], pairs.columns[~known]] = True
        return cr.Scores(values, abstained, REASON)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return a link per word to its best region, or per region to its best word."""
        pairs = pairs_of(block, state)
        values = self.score(block, state).values
        images = block.candidates if block.direction == "t2i" else block.queries
        pooling = self._pooling(block.direction)
        evidence = []
        for pair, (row, column) in enumerate(zip(pairs.rows, pairs.columns, strict=True)):
            found: tuple[cr.Link, ...] = ()
            if pairs.known[pair]:
                image = int(pairs.image_rows[pair])
                concepts = state.texts.concepts[state.texts.of_text[int(pairs.texts[pair])]]
                regions = region_vectors(self.bank, images["regions"][image], self.params.centered)
                cosines = similarities(regions, self._vectors(concepts))
                words = [concept_text(self.bank, noun, adj) for noun, adj in concepts.tolist()]
                boxes = boxes_of(images, image, len(regions))
                names = names_of(images, image, len(regions))
                found = links(cosines, words, boxes, names, pooling, block.direction == "t2i")
            query, candidate = (
                block.queries.ids[row],
                block.candidates.ids[block.index[row, column]],
            )
            evidence.append(cr.Evidence(query, candidate, float(values[row, column]), found))
        return evidence

    def _score_regions(
        self, block: cr.Block, state: MackState, pairs: Pairs, values: NDArray[np.float32]
    ) -> None:
        """Pool image by image: one product with all concepts of the block, then gathers."""
        known = np.flatnonzero(pairs.known)
        if not len(known):
            return
        images = block.candidates if block.direction == "t2i" else block.queries
        words = state.texts.of_text.take(pairs.texts[known])
        used, local = np.unique(words.flat, return_inverse=True)
        of_pair = cr.Ragged(local, words.lengths)
        vectors = self._vectors(state.texts.concepts[used])
        pool = self._pool_regions(vectors, of_pair, state.device)
        order = np.argsort(pairs.image_rows[known], kind="stable")
        starts = np.flatnonzero(np.diff(pairs.image_rows[known][order], prepend=-1))
        for group in np.split(order, starts[1:]):
            image = int(pairs.image_rows[known[group[0]]])
            regions = region_vectors(self.bank, images["regions"][image], self.params.centered)
            values[pairs.rows[known[group]], pairs.columns[known[group]]] = pool(regions, group)

    def _pool_regions(
        self, concepts: ConceptVectors, of_text: cr.Ragged, device: str | None
    ) -> Callable[[Floats, Integers], Floats]:
        """Return what scores the texts ``[T]`` for one image's regions ``[R, D]``."""
        if device is None:
            return lambda regions, texts: mean_over_regions(
                regions, concepts, of_text, texts, self.params.best("i2t")
            )
        from crossrank_mack.device_kernel import TextsOnDevice

        return TextsOnDevice(device, concepts, of_text, self.params.best("i2t")).mean_over_regions

    def _vectors(self, concepts: NDArray[np.int64]) -> ConceptVectors:
        return concept_vectors(
            self.bank,
            concepts.tolist(),
            adjective=self.params.adjective,
            center=self.params.centered,
            pooling=self.params.prototypes,
        )

    def _pooling(self, direction: str) -> str:
        mode: str = self.params.mode
        return direction if mode == "auto" else mode
