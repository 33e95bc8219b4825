"""The reranker ``mack``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.pairs import text_asks
from crossrank.plugin.parts import Part, evidence, link, parts_of
from crossrank.plugin.torch_device import device_of
from crossrank_knowledge import KnowledgeBank
from crossrank_knowledge.checks import same_space
from crossrank_knowledge.vectors import region_vectors
from crossrank_mack.explaining import concept_text, strongest
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
from crossrank_mack.state import MackState
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

    def fingerprint(self) -> str:
        """Return a digest of the parameters and of what the bank holds, wherever it lies."""
        params = replace(self.params, knowledge=self.bank)
        return cr.fingerprint([type(self).__qualname__, params, self.params.shipped])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return concepts (or text to find them in) and regions, whichever side they are on."""
        texts = context.queries if context.direction == "t2i" else context.gallery
        of_text = ("concepts",) if "concepts" in texts else ("text",)
        in_advance = self._pooling(context.direction) == "t2i"
        prepare_only = (*of_text, "regions") if in_advance else of_text
        return cr.Needs.by_modality(context.direction, of_text, ("regions",), prepare_only)

    def prepare(self, context: cr.Context) -> MackState:
        """Find the concepts of all texts and, for the pooling of ``t2i``, the table of maxima."""
        device = device_of("mack", context.device, "knowledge")
        texts, images = context.texts, context.images
        same_space("mack", self.bank, images.collection)
        parser, folder = self.params.parser, context.cache_folder
        phrases = phrases_of(texts.collection, texts.rows, parser, folder)
        found = known_concepts(phrases, self.bank, self.params.no_noun)
        table = None
        if self._pooling(context.direction) == "t2i":
            table = maxima(
                self.bank,
                found.concepts,
                context,
                images.collection,
                images.rows,
                self.params,
                device,
            )
        return MackState(
            texts=found,
            text_place=texts.places,
            image_place=images.places,
            has_regions=images.collection["regions"].lengths[images.rows] > 0,
            maxima=table,
            device=device,
        )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the mean over words of the best region, or over regions of the best word."""
        pairs = block.pairs()
        known = state.known(pairs)
        if state.maxima is None:
            values = self._over_regions(block, state, pairs, known)
        else:
            texts, images = state.places(pairs)
            values = mean_over_words(state.maxima, state.texts.of_text, texts[known], images[known])
        return cr.Scores.of_pairs(pairs, values, known, REASON)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return a link per word to its best region, or per region to its best word."""
        pairs, images, asks = block.pairs(), block.images, text_asks(block.direction)
        texts, _ = state.places(pairs)
        pooling = self._pooling(block.direction)

        def links(pair: int) -> Iterator[cr.Link]:
            image = int(pairs.images[pair])
            concepts = state.texts.concepts[state.texts.of_text[int(texts[pair])]]
            vectors = region_vectors(self.bank, images["regions"][image], self.params.centered)
            cosines = similarities(vectors, self._vectors(concepts))
            words = [Part(concept_text(self.bank, *each)) for each in concepts.tolist()]
            regions = parts_of(
                images, image, len(vectors), names=("labels",), boxes=("boxes", "token_boxes")
            )
            for region, word in strongest(cosines, pooling):
                yield link(words[word], regions[region], cosines[region, word], asks=asks)

        return evidence(block, self.score(block, state), links)

    def _over_regions(
        self, block: cr.Block, state: MackState, pairs: cr.Pairs, known: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Pool image by image: one product with all concepts of the block, then gathers."""
        values = np.zeros(int(known.sum()), np.float32)
        texts, _ = state.places(pairs)
        words = state.texts.of_text.take(texts[known])
        used, local = np.unique(words.flat, return_inverse=True)
        vectors = self._vectors(state.texts.concepts[used])
        pool = self._pool_regions(vectors, cr.Ragged(local, words.lengths), state.device)
        of = pairs.images[known]
        for group in pairs.groups(of):
            regions = block.images["regions"][int(of[group[0]])]
            values[group] = pool(region_vectors(self.bank, regions, self.params.centered), group)
        return values

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
