"""From texts to graphs: the protocol, and the parser by rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import crossrank as cr
from crossrank_graphs.graph import Graph, Object, Relation, moved, shifted
from crossrank_knowledge.spacy_pipeline import MODEL, load, pieces

if TYPE_CHECKING:
    from crossrank_graphs.lemmas import Lemmas

VERSION = 1
"""Rises when the rules change, so that graphs found by older ones are not taken for today's."""


@runtime_checkable
class GraphParser(Protocol):
    """Whatever makes graphs of texts, as `RuleParser` does."""

    def graphs(self, texts: Iterable[str]) -> Iterator[Graph]:
        """Yield the graph of each text, in order."""

    def fingerprint(self) -> str:
        """Return a digest by which graphs that were found before are recognised."""


class RuleParser:
    """Rules over spaCy's dependency tree, in the style of FACTUAL's annotators.

    Names and predicates are lemmas ("wear", "stand next to"), numbers digits; a possessive and
    "of" become ``have``, "in a shirt" becomes ``wear``, passives are turned round.  Texts of more
    than 1,000 words are parsed in pieces of that many, across which nothing is related.

    Parameters
    ----------
    model
        An installed spaCy pipeline with tagger, parser and rule lemmatizer.
    batch_size
        Texts per batch of ``nlp.pipe``.

    Raises
    ------
    MissingPackageError
        On first use, if spaCy or the model is not installed.
    """

    def __init__(self, model: str = MODEL, batch_size: int = 256) -> None:
        self.model = model
        self.batch_size = batch_size
        self._nlp: Any = None
        self._lemmas: Lemmas | None = None

    def __getstate__(self) -> tuple[str, int]:
        return self.model, self.batch_size

    def __setstate__(self, state: tuple[str, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def graphs(self, texts: Iterable[str]) -> Iterator[Graph]:
        """Yield the graph of each text, in order."""
        from crossrank_graphs.rules import graph_of  # with tables that a look at plugins can spare

        pipeline, lemmas = self._loaded()
        parts = (
            (piece, (number, start, text))
            for number, text in enumerate(texts)
            for start, piece in pieces(text)
        )
        documents = pipeline.pipe(parts, as_tuples=True, batch_size=self.batch_size)
        for (_, text), group in groupby(documents, lambda each: (each[1][0], each[1][2])):
            yield _joined(text, [(start, graph_of(one, lemmas)) for one, (_, start, _) in group])

    def lemma(self, word: str, kind: str) -> str:
        """Return the lemma of a word, as names and predicates are written.

        Parameters
        ----------
        word
            One word.
        kind
            ``"NOUN"``, ``"VERB"`` or ``"ADJ"``.
        """
        return self._loaded()[1](word, kind)

    def fingerprint(self) -> str:
        """Return the version of the rules, the model's name and its version."""
        version = self._loaded()[0].meta.get("version", "")
        return f"crossrank_graphs:{VERSION}:{self.model}:{version}"

    def _loaded(self) -> tuple[Any, Lemmas]:
        if self._nlp is None or self._lemmas is None:
            from crossrank_graphs.lemmas import Lemmas

            self._nlp = load(
                self.model,
                "graphs",
                "parsing scene graphs",
                exclude=["ner"],
                disable=["lemmatizer"],
            )
            self._lemmas = Lemmas(self._nlp)
        return self._nlp, self._lemmas


_DEFAULT = RuleParser()


def parse(texts: Iterable[str], parser: GraphParser | None = None) -> list[Graph]:
    """Return the graph of each text.

    Parameters
    ----------
    texts
        Captions; one without an object gives an empty graph.
    parser
        `RuleParser` by default, whose pipeline is loaded once and kept.

    Raises
    ------
    MissingPackageError
        If spaCy or its model is not installed.
    InputError
        For what is no text, or holds a lone surrogate.
    """
    given = [texts] if isinstance(texts, str) else list(texts)
    for text in given:
        cr.Item(text=text)  # refuses what is none, or cannot be written
    return list((_DEFAULT if parser is None else parser).graphs(given))


def _joined(text: str, pieces: Sequence[tuple[int, Graph]]) -> Graph:
    if len(pieces) == 1:
        return pieces[0][1]
    objects: list[Object] = []
    relations: list[Relation] = []
    for start, graph in pieces:
        first = len(objects)
        objects += [moved(thing, first + thing.index, start) for thing in graph.objects]
        relations += [
            Relation(
                objects[first + one.subject.index],
                one.predicate,
                objects[first + one.object.index],
                None if one.span is None else shifted(one.span, start),
            )
            for one in graph.relations
        ]
    return Graph(text, tuple(objects), tuple(relations))
