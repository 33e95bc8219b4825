"""From texts to concepts of a bank: what is known of each text, and what is not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank_knowledge import KnowledgeBank, Parser, Phrase, SpacyParser

_LOGGER = logging.getLogger(__name__)
NO_NOUN = (-1, -1)


@dataclass(frozen=True, slots=True)
class TextConcepts:
    """The concepts of some texts.

    Parameters
    ----------
    concepts
        ``[C, 2]`` distinct pairs of rows of the bank: noun and adjective (−1 for none).
    of_text
        Per text, which of the concepts it holds, in order, duplicates kept.
    """

    concepts: NDArray[np.int64]
    of_text: cr.Ragged


def phrases_of(
    texts: cr.Collection,
    rows: NDArray[np.int64],
    parser: Parser | None,
    cache_folder: Path | None,
) -> Iterator[Sequence[Phrase]]:
    """Yield the phrases of some texts: their ``concepts``, or what a parser finds in ``text``.

    Raises
    ------
    InputError
        Naming the text whose ``concepts`` are not pairs.
    """
    if "concepts" in texts:
        for row in rows:
            yield [_phrase(pair, texts.ids[row]) for pair in texts["concepts"][row]]
        return
    parse = SpacyParser() if parser is None else parser
    sentences = [str(texts["text"][row]) for row in rows]
    if cache_folder is None:
        yield from parse.phrases(sentences)
        return
    key = cr.fingerprint([parse.fingerprint(), sentences])
    folder = cache_folder / f"phrases-{key}"
    if not folder.is_dir():
        ids = [texts.ids[row] for row in rows]
        cr.Collection(ids, "text", phrases=list(parse.phrases(sentences))).save(folder)
    for phrases in cr.Collection.open(folder)["phrases"]:
        yield [(noun, tuple(adjectives)) for noun, adjectives in phrases]


def known_concepts(
    texts: Iterable[Sequence[Phrase]], bank: KnowledgeBank, no_noun: str
) -> TextConcepts:
    """Keep the nouns that the bank knows, each with the first adjective it knows.

    What it does not know is counted and reported to the log.

    Parameters
    ----------
    texts
        The phrases of each text.
    bank
        The vocabulary.
    no_noun
        See `MackParameters`.
    """
    places: dict[tuple[int, int], int] = {}
    flat: list[int] = []
    lengths: list[int] = []
    unknown: Counter[str] = Counter()
    without = 0
    for phrases in texts:
        before = len(flat)
        for noun, adjectives in phrases:
            if noun not in bank:
                unknown[noun] += 1
                continue
            known = next((bank.row(word) for word in adjectives if word in bank), -1)
            flat.append(places.setdefault((bank.row(noun), known), len(places)))
        if len(flat) == before:
            without += 1
            if no_noun == "one_hot":
                flat.append(places.setdefault(NO_NOUN, len(places)))
        lengths.append(len(flat) - before)
    _report(unknown, len(flat), without, len(lengths))
    return TextConcepts(
        np.array(list(places), np.int64).reshape(-1, 2),
        cr.Ragged(np.array(flat, np.int64), np.array(lengths, np.int64)),
    )


def _report(unknown: Counter[str], known: int, without: int, texts: int) -> None:
    missing = sum(unknown.values())
    if missing:
        frequent = ", ".join(f"{word} ({count})" for word, count in unknown.most_common(5))
        _LOGGER.info(
            "mack: %d of %d nouns are not in the bank, most often %s",
            missing,
            missing + known,
            frequent,
        )
    if without:
        _LOGGER.info("mack: %d of %d texts have no noun that the bank knows", without, texts)


def _phrase(pair: object, id: str) -> Phrase:
    if isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2:
        noun, adjective = pair
        if isinstance(noun, str) and (adjective is None or isinstance(adjective, str)):
            return noun, () if adjective is None else (adjective,)
    raise InputError(
        f"mack: the text {id!r} has the concept {pair!r}; give pairs (noun, adjective or None)"
    )
