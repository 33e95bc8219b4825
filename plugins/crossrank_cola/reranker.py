"""The reranker ``cola``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.plugin.files import file_digest
from crossrank.plugin.optional import needs
from crossrank.plugin.pairs import text_asks
from crossrank.plugin.parameters import check, none, path
from crossrank.plugin.parts import evidence, link, parts_of
from crossrank.plugin.torch_device import device_of, on_device
from crossrank.plugin.torch_projection import projected
from crossrank.plugin.trained import check_trained_on

if TYPE_CHECKING:
    from crossrank_cola.network import MMAdapter

SCRIPT = "research/train_cola.py"
REASON = "the picture has no regions or the text has no words"
SHIPPED = Path(__file__).with_name("cola.safetensors")


@dataclass(frozen=True, slots=True)
class ColaParameters:
    """What may be chosen.

    Parameters
    ----------
    weights
        The file of the trained adapter, from ``research/train_cola.py``; None for the one that
        ships, ``cola.safetensors`` beside this module.
    """

    weights: str | Path | None = None

    def __post_init__(self) -> None:
        check("cola", self, weights=path | none)

    @property
    def path(self) -> Path:
        """The file to read."""
        return SHIPPED if self.weights is None else Path(self.weights)


@dataclass(frozen=True, slots=True)
class ColaState:
    """What all blocks of a run share: the tokens of both sides, ragged, and the device.

    Parameters
    ----------
    cells, words
        Per picture and per text that occurs ``[L, dim]``.
    image_place, text_place
        Per row of the run's collections the place among these.
    device
        The device of torch that scores.
    """

    cells: cr.Ragged
    words: cr.Ragged
    image_place: Any
    text_place: Any
    device: str


class ColaReranker(cr.Reranker):
    """Lets cells and words see each other in one layer, and asks the result with a learned query.

    Cola's multimodal adapter (Ray et al., NeurIPS 2023) over the frozen cells and words of
    ``lite``.  The score of a pair is the same whichever side asks.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="cola",
        summary="Cola's multimodal adapter over lite's cells and words, trained on Flickr8k",
        paper="Ray et al., Cola, NeurIPS 2023",
        query_features=("words",),
        candidate_features=("regions",),
        explain_features=("words", "regions", "token_text", "token_boxes"),
        directions=("t2i", "i2t"),
        trained=True,
        extra="cola",
    )
    Parameters: ClassVar[type] = ColaParameters
    params: ColaParameters

    @cached_property
    def network(self) -> MMAdapter:
        """The trained adapter, read on first use."""
        with needs("cola", "cola", "torch")():
            from crossrank_cola.network import load_network
        return load_network(self.params.path)

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores: the content of the weights' file."""
        content = file_digest("cola", self.params.path, f"train some with {SCRIPT}")
        return cr.fingerprint([type(self).__qualname__, content])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what `prepare` projects; blocks carry nothing."""
        return cr.Needs.by_modality(
            context.direction, ("words",), ("regions",), prepare_only=("words", "regions")
        )

    def prepare(self, context: cr.Context) -> ColaState:
        """Project the cells of every picture and the words of every text once."""
        device = device_of("cola", context.device, "cola")
        network = on_device(self.network, device)
        texts, images, sizes = context.texts, context.images, network.sizes
        for side, read in ((texts, {"words": sizes.word}), (images, {"regions": sizes.cell})):
            check_trained_on("cola", side.collection, read, sizes.encoder, SCRIPT)
        shape = (sizes.dim,)
        return ColaState(
            projected("cola", images, ("regions",), shape, network.cells, context, device),
            projected("cola", texts, ("words",), shape, network.words, context, device),
            images.places,
            texts.places,
            "cpu" if device is None else device,
        )

    def score(self, block: cr.Block, state: ColaState) -> cr.Scores:
        """Return the adapter's scores."""
        from crossrank_cola.scoring import score_pairs_of

        pairs = block.pairs()
        images, texts = state.image_place[pairs.image_rows], state.text_place[pairs.text_rows]
        known = (state.cells.lengths[images] > 0) & (state.words.lengths[texts] > 0)
        values = score_pairs_of(
            self.network, state.cells, state.words, images[known], texts[known], state.device
        )
        return cr.Scores.of_pairs(pairs, values, known, REASON)

    def explain(self, block: cr.Block, state: ColaState) -> Sequence[cr.Evidence]:
        """Return for each pair a link from every word to the cell it looks at most."""
        import torch

        pairs, asks = block.pairs(), text_asks(block.direction)

        def links(pair: int) -> Iterator[cr.Link]:
            image, text = int(pairs.image_rows[pair]), int(pairs.text_rows[pair])
            tokens = [
                torch.from_numpy(np.array(of[int(place[row])]))
                for of, place, row in (
                    (state.cells, state.image_place, image),
                    (state.words, state.text_place, text),
                )
            ]
            looks = self.network.attention(*tokens).numpy()
            words = parts_of(block.texts, int(pairs.texts[pair]), len(looks))
            cells = parts_of(block.images, int(pairs.images[pair]), looks.shape[1])
            for word, row in zip(words, looks, strict=True):
                best = int(row.argmax())
                yield link(word, cells[best], float(row[best]), asks=asks)

        return evidence(block, self.score(block, state), links)
