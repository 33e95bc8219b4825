"""The reranker ``cora``."""

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
from crossrank.plugin.parts import evidence
from crossrank.plugin.torch_device import device_of, on_device
from crossrank.plugin.trained import check_trained_on

if TYPE_CHECKING:
    from crossrank_cora.embedding import Embedded
    from crossrank_cora.network import Cora

SCRIPT = "research/train_cora.py"
REASON = "the text names no object or the picture has no regions"
SHIPPED = Path(__file__).with_name("cora.safetensors")


@dataclass(frozen=True, slots=True)
class CoraParameters:
    """What may be chosen.

    Parameters
    ----------
    weights
        The file of the trained network; None for the one that ships with the package. Another one
        comes from ``research/train_cora.py``.
    """

    weights: str | Path | None = None

    def __post_init__(self) -> None:
        check("cora", self, weights=path | none)

    @property
    def path(self) -> Path:
        """The file to read."""
        return SHIPPED if self.weights is None else Path(self.weights)


@dataclass(frozen=True, slots=True)
class CoraState:
    """What all blocks of a run share: unit rows of both sides."""

    queries: Embedded
    candidates: Embedded


class CoraReranker(cr.Reranker):
    """Compares a picture with a caption's scene graph: objects, what they are like, what they do.

    A dual encoder over frozen features: graph attention over the phrases of the caption,
    self-attention over the picture's cells, generalised pooling of both.  Everything is encoded
    once per run; a pair costs one inner product.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="cora",
        summary="scene graphs against grid cells, trained on Flickr8k",
        paper="Pham et al., Composing Object Relations and Attributes, CVPR 2024",
        query_features=("text",),
        candidate_features=("regions",),
        explain_features=("text", "graph", "regions", "token_boxes", "boxes"),
        directions=("t2i", "i2t"),
        trained=True,
        extra="cora",
    )
    Parameters: ClassVar[type] = CoraParameters
    params: CoraParameters

    @cached_property
    def network(self) -> Cora:
        """The trained network, read on first use."""
        with needs("cora", "cora", "torch")():
            from crossrank_cora.network import load_network
        return load_network(self.params.path)

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores: the content of the weights' file."""
        content = file_digest("cora", self.params.path, f"train some with {SCRIPT}")
        return cr.fingerprint([type(self).__qualname__, content])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what `prepare` encodes: graphs where they are kept, else texts; and regions."""
        texts = context.queries if context.direction == "t2i" else context.gallery
        of_text = ("graph",) if "graph" in texts else ("text",)
        return cr.Needs.by_modality(
            context.direction, of_text, ("regions",), prepare_only=(*of_text, "regions")
        )

    def prepare(self, context: cr.Context) -> CoraState:
        """Encode every picture and every text that occurs."""
        from crossrank_cora.embedding import embed_pictures, embed_texts

        device = device_of("cora", context.device, "cora")
        network = on_device(self.network, device)
        sizes, pictures = network.sizes, context.images
        check_trained_on(
            "cora", pictures.collection, {"regions": sizes.region}, sizes.encoder, SCRIPT
        )
        texts = embed_texts(network, context.texts, device, context.progress)
        seen = embed_pictures(network, pictures, device, context.progress)
        return CoraState(texts, seen) if text_asks(context.direction) else CoraState(seen, texts)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the cosines."""
        asked = state.queries.place[block.query_rows]
        listed = state.candidates.place[block.candidate_rows]
        values = np.zeros(block.mask.shape, np.float32)
        vectors = state.candidates.vectors[listed]
        for row, query in enumerate(state.queries.vectors[asked]):
            values[row] = vectors[block.index[row]] @ query
        known = state.queries.known[asked][:, None] & state.candidates.known[listed][block.index]
        abstained = block.mask & ~known
        return cr.Scores(values, abstained, REASON) if abstained.any() else cr.Scores(values)

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        """Return for each pair a link from every entity to the region that speaks most for it.

        The weight is the entity's own score with the picture.
        """
        from crossrank_cora.explaining import entity_links

        pairs, asks = block.pairs(), text_asks(block.direction)

        def links(pair: int) -> Iterator[cr.Link]:
            text, picture = int(pairs.texts[pair]), int(pairs.images[pair])
            return entity_links(self.network, block.texts, text, block.images, picture, asks)

        return evidence(block, self.score(block, state), links)
