"""The reranker ``cora``."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.errors import FeatureMismatchError, StoreError, missing_package
from crossrank.plugin.torch_device import device_of
from crossrank_cora.parameters import CoraParameters

if TYPE_CHECKING:
    from crossrank_cora.embedding import Embedded
    from crossrank_cora.network import Cora

REASON = "the text names no object or the picture has no regions"


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
        try:
            from crossrank_cora.network import load_network
        except ImportError as error:
            if error.name is None or error.name.partition(".")[0] != "torch":
                raise
            raise missing_package("torch", "cora", "cora") from error
        return load_network(self.params.path)

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores: the content of the weights' file."""
        path = self.params.path
        try:
            content = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        except OSError as error:
            raise StoreError(f"cora: {path} cannot be read: {error}") from error
        return cr.fingerprint([type(self).__qualname__, content])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what `prepare` encodes: graphs where they are kept, else texts; and regions."""
        texts = context.queries if context.direction == "t2i" else context.gallery
        of_text = ("graph",) if "graph" in texts else ("text",)
        of_picture = self.info.candidate_features
        everything = (*of_text, *of_picture)
        if context.direction == "t2i":
            return cr.Needs(of_text, of_picture, everything)
        return cr.Needs(of_picture, of_text, everything)

    def prepare(self, context: cr.Context) -> CoraState:
        """Encode every picture and every text that occurs."""
        from crossrank_cora.embedding import embed_pictures, embed_texts

        device = device_of("cora", context.device, "cora")
        network = self.network if device is None else copy.deepcopy(self.network).to(device)
        lists = context.lists
        asked = np.array([context.queries.row(id) for id in lists.query_ids], np.int64)
        found = []
        for side, rows in (
            (context.queries, np.unique(asked[lists.mask.any(axis=1)])),
            (context.gallery, np.unique(lists.index[lists.mask])),
        ):
            is_text = (side is context.queries) == (context.direction == "t2i")
            if not is_text:
                self._check(side)
            embed = embed_texts if is_text else embed_pictures
            found.append(embed(network, side, rows, device, context.progress))
        return CoraState(*found)

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

        values = self.score(block, state).values
        evidence = []
        for row, column in zip(*np.nonzero(block.mask), strict=True):
            candidate = int(block.index[row, column])
            links = entity_links(self.network, block, int(row), candidate)
            ids = block.queries.ids[row], block.candidates.ids[candidate]
            evidence.append(cr.Evidence(*ids, float(values[row, column]), links))
        return evidence

    def _check(self, pictures: cr.Collection) -> None:
        """Refuse features of another encoder."""
        sizes, found = self.network.sizes, pictures["regions"]
        if len(found.flat) and found.trailing != (sizes.region,):
            raise FeatureMismatchError(
                f"cora: regions of the {pictures.modality}s have size {found.trailing}, the "
                f"weights are for ({sizes.region},); encode them with 'lite'"
            )
        if sizes.encoder and pictures.encoder not in (None, sizes.encoder):
            raise FeatureMismatchError(
                f"cora: the {pictures.modality}s were encoded with {pictures.encoder}, the weights "
                f"were trained on {sizes.encoder}; encode them with 'lite' as it ships, or train "
                "weights for this encoder with research/train_cora.py"
            )
