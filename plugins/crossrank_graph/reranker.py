"""The reranker ``graph``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.pairs import Side, text_asks
from crossrank.plugin.parts import Part, evidence, link, parts_of
from crossrank_graph.parameters import AUTO, GraphParameters
from crossrank_graph.phrases import Phrases, check_context, phrases_alone, phrases_in_context
from crossrank_graph.reference import CellStatistics, measured
from crossrank_graph.responses import Answers, Floats, answers, mean_of, softmin_of, word_maps
from crossrank_graph.scenes import Scene
from crossrank_graphs import graphs_of

REASON = "the text names no thing or the picture has no tokens"
MOST_PRODUCTS = 1 << 22
"""Products of cells and words that are held at a time, as far as one picture takes no more."""


@dataclass(frozen=True, slots=True)
class GraphState:
    """What all blocks of a run share.

    Parameters
    ----------
    phrases
        Of the texts that occur.
    place
        Per row of the collection of texts its place among those that occur.
    reference
        ``[P]`` what is taken from the response to each phrase.
    """

    phrases: Phrases
    place: NDArray[np.int64]
    reference: Floats

    def words_of(self, scene: Scene) -> int:
        """Return how many words the phrases of a scene have together."""
        numbers = {*scene.things, *scene.relations, *(n for pair in scene.orders for n in pair)}
        return int(self.phrases.words.lengths[list(numbers)].sum())


class GraphReranker(cr.Reranker):
    """Looks for every unit of a caption's scene graph in the picture.

    A unit is an object with its attributes, or a relation, as a phrase.  Its response is that of
    the picture's best cell to all of its words at once, less what any picture would answer; the
    score is the mean of the units, and a little for ends of relations that lie above each other as
    they are said to.  Training-free.
    """

    info: ClassVar[cr.RerankerInfo] = cr.RerankerInfo(
        name="graph",
        summary="units of the caption's scene graph, each looked for in one place of the picture",
        paper="training-free, ours; graphs after Li et al., FACTUAL, Findings of ACL 2023",
        query_features=("text",),
        candidate_features=("tokens",),
        explain_features=("token_boxes",),
        directions=("t2i", "i2t"),
        extra="graphs",
    )
    Parameters: ClassVar[type] = GraphParameters
    params: GraphParameters

    @cached_property
    def reference(self) -> cr.Collection | None:
        """The pictures that the answers of others are compared with, None where none are given."""
        given = self.params.reference
        if isinstance(given, cr.Collection):
            return given
        return None if given is None or given == AUTO else cr.Collection.open(given)

    def fingerprint(self) -> str:
        """Return a digest of the parameters and of what the reference holds, wherever it lies."""
        params = self.params
        if self.reference is not None:
            params = replace(params, reference=self.reference)
        return cr.fingerprint([type(self).__module__, type(self).__qualname__, params])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what the texts bring: graphs where they are kept, else words to parse."""
        texts, pictures = context.texts.collection, context.images.collection
        bare = "tokens" not in pictures  # nothing is encoded yet, as in `crossrank.rerank`
        of_text = ["graph" if "graph" in texts else "text"]
        if self.params.phrases == "context" or not (bare or self._alone(pictures)):
            if not bare:
                check_context(texts)
            of_text += ["tokens", "token_text"]
        of_picture = ["tokens"]
        if self.params.order and (bare or "token_boxes" in pictures):
            of_picture.append("token_boxes")
        return cr.Needs.by_modality(context.direction, of_text, of_picture, of_text[:1])

    def prepare(self, context: cr.Context) -> GraphState:
        """Parse the texts, and find the vectors of their phrases and what any picture answers."""
        texts, pictures = context.texts, context.images
        _check_tokens(pictures)
        rows, cache = texts.rows.tolist(), context.cache_folder
        graphs = graphs_of(texts.collection, rows, self.params.parser, cache)
        maker = pictures.collection.encoder
        if self._alone(pictures.collection):
            name = self.params.encoder
            encoder = str(maker).partition(":")[0] if name is None else name
            phrases = phrases_alone(graphs, encoder, maker, cache)
        else:
            phrases = phrases_in_context(graphs, texts.collection, rows)
        sizes = phrases.words.trailing, pictures.collection["tokens"].trailing
        if phrases.names and len(pictures) and sizes[0] != sizes[1]:
            raise FeatureMismatchError(
                f"graph: vectors of phrases have size {sizes[0]}, the pictures' tokens {sizes[1]}; "
                "encode both with the same encoder"
            )
        return GraphState(phrases, texts.places, self._reference(phrases.words, maker))

    def score(self, block: cr.Block, state: GraphState) -> cr.Scores:
        """Return the mean response of each text's units in each of its pictures."""
        pairs, tokens = block.pairs(), block.images["tokens"]
        values = np.zeros(len(pairs), np.float32)
        known = np.zeros(len(pairs), np.bool_)
        for group in pairs.groups(pairs.texts):
            scene = state.phrases.scenes[state.place[pairs.text_rows[group[0]]]]
            if not scene.things:
                continue
            seen = group[tokens.lengths[pairs.images[group]] > 0]
            known[seen] = True
            most = MOST_PRODUCTS // max(1, state.words_of(scene))
            for part in _portions(seen, tokens.lengths[pairs.images[seen]], most):
                values[part] = self._values(block.images, pairs.images[part], scene, state)
        return cr.Scores.of_pairs(pairs, values, known, REASON)

    def explain(self, block: cr.Block, state: GraphState) -> Sequence[cr.Evidence]:
        """Return for each pair a link from every unit to the cell that answers most.

        The weight is the response, less what any picture would answer.
        """
        pairs, images = block.pairs(), block.images
        asks = text_asks(block.direction)

        def links(pair: int) -> Iterator[cr.Link]:
            image = int(pairs.images[pair])
            scene = state.phrases.scenes[state.place[pairs.text_rows[pair]]]
            cells = np.asarray(images["tokens"][image], np.float32)
            places = parts_of(images, image, len(cells))
            for phrase in (*scene.things, *(scene.relations if self.params.relations else ())):
                words = np.asarray(state.phrases.words[phrase], np.float32)
                maps = word_maps(cells, words, np.array([len(words)]))[1][:, 0]
                weight = float(maps.max() - state.reference[phrase])
                name = Part(state.phrases.names[phrase])
                yield link(name, places[int(maps.argmax())], weight, asks=asks)

        return evidence(block, self.score(block, state), links)

    def _alone(self, pictures: cr.Collection) -> bool:
        """Whether phrases are encoded by themselves."""
        if self.params.phrases == AUTO:
            return self.params.encoder is not None or pictures.encoder is not None
        if self.params.phrases == "alone" and self.params.encoder is None and not pictures.encoder:
            raise InputError(
                "graph: the pictures do not say which encoder made them, so phrases cannot be "
                "encoded alike; give encoder='lite' or another, or phrases='context'"
            )
        return self.params.phrases == "alone"

    def _reference(self, words: cr.Ragged, maker: str | None) -> Floats:
        given = self.reference
        if given is not None:
            return measured(words, given, self.params.binding)
        if self.params.reference == AUTO and maker is not None and maker.startswith("lite:"):
            statistics = CellStatistics.shipped()
            if statistics.maker == maker:
                return statistics.expected(words)
        return np.zeros(len(words.lengths), np.float32)

    def _values(
        self, images: cr.Collection, rows: NDArray[np.int64], scene: Scene, state: GraphState
    ) -> Floats:
        """Return ``[K]`` the scores of one text with some pictures."""
        params = self.params
        orders = scene.orders if params.order and "token_boxes" in images else ()
        units = (*scene.things, *(scene.relations if params.relations else ()))
        used = np.unique([*units, *(number for pair in orders for number in pair)])
        cells = images["tokens"].take(rows)
        middles = _middles(images, rows, cells) if orders else None
        words = [np.asarray(state.phrases.words[number], np.float32) for number in used]
        found = answers(
            np.asarray(cells.flat, np.float32),
            cells.lengths,
            np.concatenate(words),
            np.array([len(each) for each in words]),
            params.binding,
            middles,
        )
        columns = np.searchsorted(used, units)
        responses = found.best[:, columns] - state.reference[list(units)]
        weights = np.ones(len(units), np.float32)
        weights[len(scene.things) :] = params.relations
        if params.aggregate == "mean":
            values = mean_of(responses, weights)
        else:
            values = softmin_of(responses, weights, params.sharpness)
        return values + np.float32(params.order) * _ordered(found, orders, used)


def _ordered(found: Answers, orders: Sequence[tuple[int, int]], used: NDArray[np.int64]) -> Floats:
    """Return ``[K]`` by how much upper ends lie above lower ones, on average."""
    if not orders:
        return np.zeros(len(found.height), np.float32)
    upper, lower = (np.searchsorted(used, [pair[end] for pair in orders]) for end in (0, 1))
    above = found.height[:, lower] - found.height[:, upper]
    mean: Floats = above.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean


def _middles(images: cr.Collection, rows: NDArray[np.int64], cells: cr.Ragged) -> Floats | None:
    boxes: cr.Ragged = images["token_boxes"].take(rows)
    if not np.array_equal(boxes.lengths, cells.lengths):
        return None
    return np.asarray(boxes.flat[:, 1::2].mean(axis=1), np.float32)


def _portions(
    pairs: NDArray[np.int64], lengths: NDArray[np.int64], most: int
) -> Iterator[NDArray[np.int64]]:
    """Cut pairs where their pictures have more cells together."""
    if len(pairs):
        after = np.flatnonzero(np.diff(np.cumsum(lengths) // max(1, most))) + 1
        yield from np.split(pairs, after)


def _check_tokens(pictures: Side) -> None:
    if not isinstance(pictures.collection["tokens"], cr.Ragged):
        raise InputError(
            "graph: the pictures' tokens are no crossrank.Ragged; give Ragged(flat [rows, D], "
            "lengths)"
        )
