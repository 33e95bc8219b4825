"""The text side: the nouns of a text with their adjectives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Protocol, TypeAlias, runtime_checkable

from crossrank import Collection
from crossrank.errors import MissingFeatureError
from crossrank_knowledge.spacy_pipeline import MODEL, load, pieces

Phrase: TypeAlias = tuple[str, tuple[str, ...]]
"""A noun and all the adjectives that modify it, in the order of the text."""

RULES = 2
"""Rises when the rules change: 1 read texts as written, and took no comparatives."""


@runtime_checkable
class Parser(Protocol):
    """Whatever finds nouns and adjectives, as `SpacyParser` does."""

    def phrases(self, texts: Iterable[str]) -> Iterator[list[Phrase]]:
        """Yield the phrases of each text, in order, duplicates kept."""

    def fingerprint(self) -> str:
        """Return a digest by which cached parses are recognised."""


class SpacyParser:
    """Nouns (tags that contain NN) and their ``amod`` children whose tags contain JJ, by spaCy.

    Texts are stripped and lower-cased first, as MACK's authors do: the tagger takes a capital for
    a name, and a bank knows words as labels write them.  Texts of more than 1,000 words are parsed
    in pieces of that many, so that a very long one costs time but not memory.

    Parameters
    ----------
    model
        An installed spaCy pipeline with tagger and parser.
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

    def phrases(self, texts: Iterable[str]) -> Iterator[list[Phrase]]:
        """Yield the phrases of each text, in order, duplicates kept."""
        parts = (
            (piece, number)
            for number, text in enumerate(texts)
            for _, piece in pieces(text.strip().lower())
        )
        documents = self._pipeline().pipe(parts, as_tuples=True, batch_size=self.batch_size)
        for _, group in groupby(documents, lambda each: each[1]):
            yield [phrase for document, _ in group for phrase in _phrases(document)]

    def lemmas(self) -> dict[str, str]:
        """Return the map from words to lemmas of the model, filled as it is asked."""
        return _Lemmas(self._pipeline(lemmas=True))

    def fingerprint(self) -> str:
        """Return the model's name and version, and that of the rules."""
        meta = self._pipeline().meta
        return f"spacy:{self.model}:{meta.get('version', '')}:{RULES}"

    def _pipeline(self, lemmas: bool = False) -> Any:
        if lemmas:
            return _load(self.model, ["ner"])
        if self._nlp is None:
            self._nlp = _load(self.model, ["ner", "lemmatizer"])
        return self._nlp


class _Lemmas(dict[str, str]):
    """A word's lemma, found on first use."""

    def __init__(self, pipeline: Any) -> None:
        super().__init__()
        self._pipeline = pipeline

    def __missing__(self, word: str) -> str:
        tokens = self._pipeline(word)
        self[word] = tokens[0].lemma_ if len(tokens) == 1 else word
        return self[word]


def with_concepts(texts: Collection, parser: Parser | None = None) -> Collection:
    """Return a text collection that carries ``concepts``, so that it need not be parsed again.

    Of several adjectives the first is kept; `crossrank_mack` can look for the first one its bank
    knows only where it parses the text itself.

    Parameters
    ----------
    texts
        With the feature ``text``.
    parser
        spaCy's small English model by default.

    Raises
    ------
    MissingFeatureError
        If there is no ``text``.
    """
    if "text" not in texts:
        raise MissingFeatureError("with_concepts: the collection has no 'text' to parse")
    parse = SpacyParser() if parser is None else parser
    concepts = [
        [(noun, adjectives[0] if adjectives else None) for noun, adjectives in phrases]
        for phrases in parse.phrases(texts["text"])
    ]
    return texts.with_features(concepts=concepts)


def _phrases(document: Any) -> list[Phrase]:
    return [
        (
            token.text,
            tuple(c.text for c in token.children if c.dep_ == "amod" and "JJ" in c.tag_),
        )
        for token in document
        if "NN" in token.tag_
    ]


def _load(model: str, exclude: list[str]) -> Any:
    return load(model, "mack", "finding nouns", exclude=exclude)
