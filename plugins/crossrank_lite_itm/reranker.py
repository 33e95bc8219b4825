"""The reranker ``lite_itm``."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, StoreError, missing_package
from crossrank.plugin.torch_device import device_of, exact_products
from crossrank_lite_itm.parameters import LiteItmParameters

if TYPE_CHECKING:
    from crossrank_lite_itm.network import LiteItm
    from crossrank_lite_itm.scoring import ItmState

REASON = "the picture has no regions or the text has no words"


class LiteItmReranker(cr.Reranker):
    """Lets the words of a text look at a picture, and its cells at the words.

    A small network over frozen features of the encoder ``lite``: stacked cross attention (Lee et
    al., ECCV 2018) in both directions at once, with gates that say which words and which cells
    matter, trained with InfoNCE.  The score is the same whichever side is the query.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="lite_itm",
        summary="cross attention between lite's words and cells, trained on Flickr8k",
        paper="Lee et al., Stacked Cross Attention, ECCV 2018 (gates and training are ours)",
        query_features=("words", "tokens"),
        candidate_features=("regions",),
        explain_features=("token_text", "token_boxes"),
        directions=("t2i", "i2t"),
        trained=True,
        extra="lite-itm",
    )
    Parameters: ClassVar[type] = LiteItmParameters
    params: LiteItmParameters

    @cached_property
    def network(self) -> LiteItm:
        """The trained network, read on first use."""
        try:
            from crossrank_lite_itm.network import load_network
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] != "torch":
                raise
            raise missing_package("torch", "lite-itm", "lite_itm") from error
        return load_network(self.params.path, self.params.members)

    def network_on(self, device: str | None) -> LiteItm:
        """Return the network on a device of torch, None for the processor."""
        if device is None:
            return self.network
        if device not in self._elsewhere:
            self._elsewhere[device] = copy.deepcopy(self.network).to(device)
        return self._elsewhere[device]

    @cached_property
    def _elsewhere(self) -> dict[str, LiteItm]:
        return {}

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores: the content of the weights' file."""
        path = self.params.path
        try:
            content = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            raise StoreError(f"lite_itm: {path} cannot be read: {error}") from error
        return cr.fingerprint([type(self).__qualname__, content, self.params.members])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what `prepare` projects; blocks carry nothing."""
        of_text, of_picture = self.info.query_features, self.info.candidate_features
        everything = (*of_text, *of_picture)
        if context.direction == "t2i":
            return cr.Needs(of_text, of_picture, everything)
        return cr.Needs(of_picture, of_text, everything)

    def prepare(self, context: cr.Context) -> ItmState:
        """Project every picture's cells and every text's words once."""
        from crossrank_lite_itm.projection import project
        from crossrank_lite_itm.scoring import ItmState

        device = device_of("lite_itm", context.device, "lite-itm")
        network = self.network_on(device)
        (texts, text_rows) = context.texts.collection, context.texts.rows
        (pictures, picture_rows) = context.images.collection, context.images.rows
        self._check(texts, ("words", "tokens"), (network.sizes.word, network.sizes.token))
        self._check(pictures, ("regions",), (network.sizes.region,))
        words, tokens, regions = texts["words"], texts["tokens"], pictures["regions"]
        odd = text_rows[words.lengths[text_rows] != tokens.lengths[text_rows]]
        if len(odd):
            raise InputError(
                f"lite_itm: the text {texts.ids[odd[0]]!r} has {words.lengths[odd[0]]} words but "
                f"{tokens.lengths[odd[0]]} tokens; encode it again"
            )
        shape = (network.sizes.members, network.sizes.dim)
        return ItmState(
            project(
                [regions], picture_rows, shape, network.project_cells, context, "cells", device
            ),
            project(
                [words, tokens], text_rows, shape, network.project_words, context, "words", device
            ),
            device,
        )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the mean score of the network's members."""
        from crossrank_lite_itm.scoring import score_pairs

        pairs = block.pairs()
        known = state.known(pairs)
        pictures, texts = pairs.image_rows[known], pairs.text_rows[known]
        with exact_products():
            values = score_pairs(self.network_on(state.device), state, pictures, texts)
        return cr.Scores.of_pairs(pairs, values, known, REASON)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return for each pair a link from every word to the cell it looks at most."""
        from crossrank_lite_itm.explaining import Names, links, word_attention

        pairs, values = block.pairs(), self.score(block, state).values
        known = state.known(pairs)
        words_asked = block.direction == "t2i"
        evidence = []
        for pair, (row, column) in enumerate(zip(pairs.queries, pairs.columns, strict=True)):
            candidate = int(block.index[row, column])
            found: tuple[cr.Link, ...] = ()
            if known[pair]:
                attention, gates = word_attention(
                    self.network, state, int(pairs.image_rows[pair]), int(pairs.text_rows[pair])
                )
                sides = (block.queries, int(row)), (block.candidates, candidate)
                text_side, picture_side = sides if words_asked else sides[::-1]
                found = links(
                    attention,
                    gates,
                    Names.of(*picture_side, attention.shape[1]),
                    Names.of(*text_side, attention.shape[0]),
                    words_asked,
                )
            ids = block.queries.ids[row], block.candidates.ids[candidate]
            evidence.append(cr.Evidence(*ids, float(values[row, column]), found))
        return evidence

    def _check(
        self, collection: cr.Collection, features: Sequence[str], sizes: Sequence[int]
    ) -> None:
        """Refuse features of another encoder."""
        for feature, size in zip(features, sizes, strict=True):
            found = collection[feature]
            if len(found.flat) and found.trailing != (size,):
                raise FeatureMismatchError(
                    f"lite_itm: {feature} of the {collection.modality}s have size "
                    f"{found.trailing}, the weights are for ({size},); encode them with 'lite'"
                )
        trained_on = self.network.sizes.encoder
        if collection.encoder not in (None, trained_on) and trained_on:
            raise FeatureMismatchError(
                f"lite_itm: the {collection.modality}s were encoded with {collection.encoder}, the "
                f"weights were trained on {trained_on}; encode them with 'lite' as it ships, or "
                "train weights for this encoder with research/train_lite_itm.py"
            )
