"""Vectors of phrases: each encoded alone, or the tokens that the text itself has for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, MissingFeatureError
from crossrank.plugin.encoders import as_encoder, maker_name
from crossrank_graph.scenes import Scene, phrase_of, scene_of
from crossrank_graphs import Graph, Object, Relation, Span

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of all texts of a run.

    Parameters
    ----------
    scenes
        One per text, in the numbers of `names` and `words`.
    names
        What each phrase says.
    words
        Ragged ``[P]``: the unit vectors of each phrase's words, ``[L, D]``.
    """

    scenes: tuple[Scene, ...]
    names: tuple[str, ...]
    words: cr.Ragged


def phrases_alone(
    graphs: Sequence[Graph], encoder: str, maker: str | None, cache_folder: Path | None
) -> Phrases:
    """Encode every distinct phrase by itself.

    Parameters
    ----------
    graphs
        One per text.
    encoder
        Its name.
    maker
        What the pictures remember of theirs; None if they do not.
    cache_folder
        Where the vectors are kept for the next run; None for nowhere.

    Raises
    ------
    FeatureMismatchError
        If the pictures were made by another encoder, or by the same one with other weights.
    """
    ready = as_encoder(encoder, {})
    if maker is not None and maker != maker_name(ready):
        raise FeatureMismatchError(
            f"graph: the pictures were encoded with {maker}, phrases would be with "
            f"{maker_name(ready)}; encode the pictures with {encoder!r} as it is installed, "
            "or take phrases='context'"
        )
    places: dict[str, int] = {}

    def number(part: Object | Relation, attributes: bool) -> int | None:
        phrase = phrase_of(part, attributes)
        if not any(map(str.isalnum, phrase)):
            return None
        return places.setdefault(phrase, len(places))

    scenes = tuple(scene_of(graph, number) for graph in graphs)
    names = tuple(places)
    return Phrases(scenes, names, _encoded(ready, names, cache_folder))


def phrases_in_context(
    graphs: Sequence[Graph], texts: cr.Collection, rows: Sequence[int]
) -> Phrases:
    """Take the tokens that each text has for the words of its phrases.

    Parameters
    ----------
    graphs
        One per text, with spans; what has none is left out.
    texts, rows
        The collection, with ``tokens`` and ``token_text``, and the texts' rows in it.
    """
    names: list[str] = []
    words = []
    scenes = []
    for graph, row in zip(graphs, rows, strict=True):
        tokens = np.asarray(texts["tokens"][row], np.float32)
        spans = _token_spans(graph.text, texts["token_text"][row])
        seen: dict[tuple[int, ...], int] = {}

        def number(
            part: Object | Relation,
            attributes: bool,
            spans: Sequence[Span] = spans,
            seen: dict[tuple[int, ...], int] = seen,
            tokens: Floats = tokens,
        ) -> int | None:
            chosen = tuple(
                place
                for place, token in enumerate(spans[: len(tokens)])
                if any(
                    token[0] < end and start < token[1] for start, end in _spans(part, attributes)
                )
            )
            if not chosen:
                return None
            if chosen not in seen:
                seen[chosen] = len(names)
                names.append(phrase_of(part, attributes))
                words.append(tokens[list(chosen)])
            return seen[chosen]

        scenes.append(scene_of(graph, number))
    size = texts["tokens"].trailing[0] if words else 0
    flat = np.concatenate(words) if words else np.zeros((0, size), np.float32)
    return Phrases(tuple(scenes), tuple(names), cr.Ragged(flat, [len(each) for each in words]))


def check_context(texts: cr.Collection) -> None:
    """Refuse texts whose tokens cannot be told from each other."""
    for feature in ("tokens", "token_text"):
        if feature not in texts:
            raise MissingFeatureError(
                f"graph: the texts have no {feature!r}, and phrases cannot be encoded alone "
                "because the pictures do not say which encoder made them; give encoder='lite' or "
                "another, or encode the texts with tokens and token_text"
            )


def _encoded(encoder: cr.Encoder, phrases: Sequence[str], cache_folder: Path | None) -> cr.Ragged:
    """Encode phrases, but for those that an earlier run has left in the cache folder."""
    if not phrases:
        return cr.Ragged(np.zeros((0, 0), np.float32), [])
    if cache_folder is None:
        return _tokens(_encode(encoder, phrases, None))
    maker = cr.fingerprint([maker_name(encoder)])
    kept = [
        cr.Collection.open(folder)
        for folder in cache_folder.glob(f"phrases-{maker}-*")
        if folder.suffix != ".partial"
    ]
    known = {phrase for collection in kept for phrase in collection.ids}
    missing = [phrase for phrase in phrases if phrase not in known]
    if missing:
        out = cache_folder / f"phrases-{maker}-{cr.fingerprint([missing])}"
        kept.append(_encode(encoder, missing, out))
    places = {
        phrase: (number, row)
        for number, collection in enumerate(kept)
        for row, phrase in enumerate(collection.ids)
    }
    stores = [_tokens(collection) for collection in kept]
    vectors = [stores[number][row] for number, row in (places[phrase] for phrase in phrases)]
    return cr.Ragged(np.concatenate(vectors), [len(each) for each in vectors])


def _encode(encoder: cr.Encoder, phrases: Sequence[str], out: Path | None) -> cr.Collection:
    items = [cr.Item(phrase, phrase) for phrase in phrases]
    return cr.encode(encoder, items, modality="text", features=("tokens",), out=out)


def _tokens(phrases: cr.Collection) -> cr.Ragged:
    tokens: cr.Ragged = phrases["tokens"]
    return cr.Ragged(np.asarray(tokens.flat, np.float32), tokens.lengths)


def _token_spans(text: str, tokens: Sequence[str]) -> list[Span]:
    """Return where each token stands in the text; a token that is not found stands nowhere."""
    spans, done = list[Span](), 0
    for token in tokens:
        start = text.find(str(token), done)
        if start < 0:
            spans.append((0, 0))
            continue
        done = start + len(str(token))
        spans.append((start, done))
    return spans


def _spans(part: Object | Relation, attributes: bool) -> tuple[Span, ...]:
    if isinstance(part, Relation):
        ends = (*_spans(part.subject, False), *_spans(part.object, False))
        return ends if part.span is None else (*ends, part.span)
    own = () if part.span is None else (part.span,)
    return (*own, *part.attribute_spans) if attributes and own else own
