"""The reranker ``lite_itm``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.files import file_digest
from crossrank.plugin.optional import needs
from crossrank.plugin.pairs import text_asks
from crossrank.plugin.parameters import check, integer, none, path
from crossrank.plugin.parts import evidence, link, parts_of
from crossrank.plugin.torch_device import device_of, exact_products, on_device
from crossrank.plugin.torch_projection import projected
from crossrank.plugin.trained import check_trained_on

if TYPE_CHECKING:
    from crossrank_lite_itm.network import LiteItm
    from crossrank_lite_itm.scoring import ItmState

SCRIPT = "research/train_lite_itm.py"
REASON = "the picture has no regions or the text has no words"
SHIPPED = Path(__file__).with_name("lite_itm.safetensors")


@dataclass(frozen=True, slots=True)
class LiteItmParameters:
    """What may be chosen.

    Parameters
    ----------
    weights
        The file of the trained network; None for the one that ships with the package. Another one
        comes from ``research/train_lite_itm.py``.
    members
        How many of the file's networks are averaged, from the first; None for all. One is the
        fastest, and a little worse.
    """

    weights: str | Path | None = None
    members: int | None = None

    def __post_init__(self) -> None:
        check("lite_itm", self, weights=path | none, members=integer(1) | none)

    @property
    def path(self) -> Path:
        """The file to read."""
        return SHIPPED if self.weights is None else Path(self.weights)


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
        with needs("lite_itm", "lite-itm", "torch")():
            from crossrank_lite_itm.network import load_network
        return load_network(self.params.path, self.params.members)

    def network_on(self, device: str | None) -> LiteItm:
        """Return the network on a device of torch, None for the processor."""
        return on_device(self.network, device)

    def fingerprint(self) -> str:
        """Return a digest of what decides the scores: the content of the weights' file."""
        content = file_digest("lite_itm", self.params.path, f"train some with {SCRIPT}")
        return cr.fingerprint([type(self).__qualname__, content, self.params.members])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what `prepare` projects; blocks carry nothing."""
        of_text, of_picture = self.info.query_features, self.info.candidate_features
        return cr.Needs.by_modality(
            context.direction, of_text, of_picture, prepare_only=(*of_text, *of_picture)
        )

    def prepare(self, context: cr.Context) -> ItmState:
        """Project every picture's cells and every text's words once."""
        from crossrank_lite_itm.projection import Projected
        from crossrank_lite_itm.scoring import ItmState

        device = device_of("lite_itm", context.device, "lite-itm")
        network = self.network_on(device)
        texts, pictures, sizes = context.texts, context.images, network.sizes
        for side, read in (
            (texts, {"words": sizes.word, "tokens": sizes.token}),
            (pictures, {"regions": sizes.region}),
        ):
            check_trained_on("lite_itm", side.collection, read, sizes.encoder, SCRIPT)
        words, tokens = texts.collection["words"], texts.collection["tokens"]
        odd = texts.rows[words.lengths[texts.rows] != tokens.lengths[texts.rows]]
        if len(odd):
            raise InputError(
                f"lite_itm: the text {texts.collection.ids[odd[0]]!r} has "
                f"{words.lengths[odd[0]]} words but {tokens.lengths[odd[0]]} tokens; encode it "
                "again"
            )
        made = partial(projected, "lite_itm", shape=(sizes.members, sizes.dim), device=device)
        cells = made(pictures, ("regions",), head=network.project_cells, context=context)
        said = made(texts, ("words", "tokens"), head=network.project_words, context=context)
        return ItmState(Projected(cells, pictures.places), Projected(said, texts.places), device)

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
        from crossrank_lite_itm.scoring import word_attention

        pairs, asks = block.pairs(), text_asks(block.direction)

        def links(pair: int) -> Iterator[cr.Link]:
            """Weigh by gate and attention: words that look everywhere weigh little, too."""
            attention, gates = word_attention(
                self.network, state, int(pairs.image_rows[pair]), int(pairs.text_rows[pair])
            )
            words = parts_of(block.texts, int(pairs.texts[pair]), len(attention))
            cells = parts_of(block.images, int(pairs.images[pair]), attention.shape[1])
            for word, cell in enumerate(attention.argmax(axis=1).tolist()):
                weight = gates[word] * attention[word, cell]
                yield link(words[word], cells[cell], weight, asks=asks)

        return evidence(block, self.score(block, state), links)
