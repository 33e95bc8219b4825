"""From a parsed text to its graph."""

from __future__ import annotations

from typing import Any

from crossrank_graphs.graph import Graph, Object, Relation, Span
from crossrank_graphs.nouns import Lemma, Noun, kept_quantifier, nouns_of, quantified
from crossrank_graphs.relations import Reader


def graph_of(document: Any, lemma: Lemma) -> Graph:
    """Return the graph of a text that spaCy has tagged and parsed."""
    nouns = nouns_of(document, lemma)
    reader = Reader(document, nouns, lemma)
    for token in document:
        inner = quantified(token, lemma)
        if inner is not None and inner.i in nouns:
            nouns[inner.i].describe(kept_quantifier(token, lemma), [token])
    reader.describe()
    said = list(reader.relations())
    places = {token: place for place, token in enumerate(nouns)}
    objects = tuple(_object(place, noun) for place, noun in enumerate(nouns.values()))
    relations = dict.fromkeys(
        Relation(
            objects[places[one.subject.i]],
            one.predicate,
            objects[places[one.object.i]],
            _span(one.words) if one.words else None,
        )
        for one in said
        if one.subject.i in places and one.object.i in places
    )
    return Graph(document.text, objects, tuple(relations))


def _object(place: int, noun: Noun) -> Object:
    return Object(
        place,
        noun.name,
        tuple(text for text, _ in noun.attributes),
        _span(noun.words),
        tuple(_span(words) for _, words in noun.attributes),
    )


def _span(words: Any) -> Span:
    first, last = min(words, key=lambda w: w.i), max(words, key=lambda w: w.i)
    return int(first.idx), int(last.idx) + len(last)
