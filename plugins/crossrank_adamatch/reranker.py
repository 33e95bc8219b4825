"""The reranker ``adamatch``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank.plugin.files import file_digest
from crossrank.plugin.optional import needs
from crossrank.plugin.pairs import text_asks
from crossrank.plugin.parts import evidence, parts_of
from crossrank.plugin.torch_device import device_of, on_device
from crossrank_adamatch.checks import check_encoded, check_parts, check_windows
from crossrank_adamatch.explaining import links_of
from crossrank_adamatch.gallery import Made, Pictures, prepared
from crossrank_adamatch.grids import boxes_feature, read_grids
from crossrank_adamatch.parameters import AdaMatchParameters
from crossrank_adamatch.patches import Windows
from crossrank_filip.interaction import MeanOver, late_interaction

if TYPE_CHECKING:
    from crossrank_adamatch.adaptive import Adaptive
    from crossrank_adamatch.network import AdaMatch


@dataclass(frozen=True, slots=True)
class AdaMatchState:
    """What all blocks of a run share.

    Parameters
    ----------
    patches
        Of the pictures.
    boxes
        Per picture that occurs ``[P, 4]``: where its patches lie.
    words
        Of the texts; None where the tokens of a block are the words.
    device
        The device of torch that scores, None for the processor.
    """

    patches: Made
    boxes: cr.Ragged
    words: Made | None
    device: str | None


class AdaMatchReranker(cr.Reranker):
    """Compares every word with patches that have a size and a place of their own.

    The score is FILIP's: the mean over words of the best patch for a text query, the mean over
    patches of the best word for an image query.  The patches are windows of several scales over
    the grid of the image's tokens, or those of a trained network (`crossrank_adamatch.AdaPatch`);
    those of a gallery are made once and kept.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="adamatch",
        summary="each word's best patch among patches of several sizes; the box is the evidence",
        paper="AdaMatch, Fine-grained Image-text Alignment in Medical Imaging, ACL 2024",
        query_features=("tokens",),
        candidate_features=("tokens",),
        explain_features=("token_text",),
        directions=("t2i", "i2t"),
        single_threaded=True,
        extra="adamatch",
    )
    Parameters: ClassVar[type] = AdaMatchParameters
    params: AdaMatchParameters

    @cached_property
    def network(self) -> AdaMatch:
        """The trained network, read on first use."""
        with needs("adamatch with weights", "adamatch", "torch")():
            from crossrank_adamatch.network import load_network
        return load_network(str(self.params.file))

    def source(self, device: str | None, direction: str) -> Windows | Adaptive:
        """Return what makes the patches.

        Parameters
        ----------
        device
            Of torch, None for the processor.
        direction
            ``"t2i"`` or ``"i2t"``.
        """
        if self.params.weights is None:
            return Windows(tuple(self.params.sizes))
        from crossrank_adamatch.adaptive import Adaptive

        network = on_device(self.network, device)
        still = not text_asks(direction) and self.params.mode != "t2i" and self._cells_ask()
        return Adaptive(network, device or "cpu", self._digest(), still)

    def fingerprint(self) -> str:
        """Return a digest of the parameters and of the weights' file."""
        return cr.fingerprint([super().fingerprint(), self._digest()])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return the tokens, or what the network reads, and where the images' cells lie.

        Raises
        ------
        MissingFeatureError
            If nothing tells the grid.
        """
        images, (of_cells, of_words) = context.images, self._features()
        of_images: tuple[str, ...] = (of_cells,)
        collection = images.collection
        if of_cells in collection and isinstance(collection[of_cells], cr.Ragged):
            boxes = boxes_feature(images.collection, of_cells)
            if boxes is not None:
                of_images = (of_cells, boxes)
            elif self.params.grid is None:
                read_grids(images.collection, images.rows, None, of_cells)
        once = of_images[1:] if self.params.weights is None else (*of_images, of_words)
        return cr.Needs.by_modality(context.direction, (of_words,), of_images, once)

    def prepare(self, context: cr.Context) -> AdaMatchState:
        """Refuse what cannot be compared, then make the patches of the run's pictures."""
        device = device_of("adamatch", context.device, "adamatch")
        texts, images, (of_cells, of_words) = context.texts, context.images, self._features()
        check_parts(texts, of_words)
        check_parts(images, of_cells)
        source = self.source(device, context.direction)
        pictures = Pictures.of(images, source, self.params.grid)
        if isinstance(source, Windows):
            check_windows(pictures, texts)
            words = None
        else:
            check_encoded(source.network.sizes, pictures, texts)
            words = Made(source.words(texts, context), texts.places)
        return AdaMatchState(*prepared(context, pictures, self.params.prune), words, device)

    def score(self, block: cr.Block, state: AdaMatchState) -> cr.Scores:
        """Return the mean over one side's parts of their best product with the other's."""
        words_ask = text_asks(block.direction)
        asking, listing = (
            (state.words, state.patches) if words_ask else (state.patches, state.words)
        )
        asked = block.queries["tokens"] if asking is None else asking.of(block.query_rows)
        if listing is None:
            listed, index = block.candidates["tokens"], block.index
        else:  # where they lie: a copy of all candidates' patches may be large
            places = listing.place[block.candidate_rows]
            listed, index = listing.rows, places[block.index] if len(places) else block.index
        interact: Any = late_interaction if state.device is None else _interaction_on(state.device)
        scored = [
            interact(asked, listed, index, block.mask, mean_over=side)
            for side in self._mean_over(block.direction)
        ]
        return cr.Scores(np.mean(scored, axis=0).astype(np.float32, copy=False))

    def explain(self, block: cr.Block, state: AdaMatchState) -> Sequence[cr.Evidence]:
        """Return for each pair a link per word to its best patch, whichever asks for which.

        Beside them the keywords of the picture among the text's words, and the key patches of the
        text (see `crossrank_adamatch.hints`).
        """
        pairs, patches, scored = block.pairs(), state.patches, self.score(block, state)
        texts, words_ask = block.texts, text_asks(block.direction)
        found = []
        for pair, bare in enumerate(evidence(block, scored)):
            text, picture = int(pairs.texts[pair]), int(patches.place[pairs.image_rows[pair]])
            if state.words is None:
                words = np.asarray(texts["tokens"][text], np.float32)
            else:
                words = state.words.rows[int(state.words.place[pairs.text_rows[pair]])]
            said = parts_of(texts, text, len(words), boxes=())
            similarities = words @ patches.rows[picture].T
            links, leading, standing = links_of(
                similarities, said, state.boxes[picture], words_ask, self.params.k
            )
            found.append(replace(bare, links=links, keywords=leading, key_patches=standing))
        return found

    def _features(self) -> tuple[str, str]:
        """Return what is read of images and of texts."""
        if self.params.weights is None:
            return "tokens", "tokens"
        return self.network.sizes.cells, self.network.sizes.words

    def _cells_ask(self) -> bool:
        """Return whether an image query's mean runs over cells as they lie."""
        chosen, residual = self.params.image_queries, self.network.sizes.residual
        if chosen == "cells" and not residual:
            raise ParameterError(
                "adamatch: image_queries is 'cells', but the network is not residual, so cells and "
                "words have no space in common; take 'patches'"
            )
        return residual if chosen == "auto" else chosen == "cells"

    def _digest(self) -> str:
        file = self.params.file
        if file is None:
            return ""
        return file_digest("adamatch", file, "train some with research/train_adamatch.py")

    def _mean_over(self, direction: str) -> tuple[MeanOver, ...]:
        """Return the sides to average over; the scores of several are averaged."""
        mode = self.params.mode
        if mode == "both":
            return ("queries", "candidates")
        return ("queries",) if mode in ("auto", direction) else ("candidates",)


def _interaction_on(device: str) -> Any:
    from crossrank_filip.device_kernel import late_interaction_on

    return partial(late_interaction_on, device)
