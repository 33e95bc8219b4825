"""Which words of a parsed text are objects, what they are called, and how they are described."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from crossrank_graphs.words import (
    ADJECTIVES,
    CLOTHES,
    COLOURS,
    DOING,
    FIXED,
    KEPT_QUANTIFIERS,
    MATERIALS,
    NO_SUBJECTS,
    NOUNS_IN_ING,
    NUMBERS,
    PLACES,
    QUANTIFIERS,
    SHADES,
    SIDES,
    SPELLING,
    VAGUE,
)

Lemma = Callable[[str, str], str]


@dataclass(slots=True)
class Noun:
    """An object in the making: its head word, its name's words, and what describes it."""

    head: Any
    name: str
    words: list[Any]
    attributes: list[tuple[str, list[Any]]] = field(default_factory=list)

    def describe(self, text: str, words: list[Any]) -> None:
        """Add an attribute, unless it is there."""
        if text and text not in (known for known, _ in self.attributes):
            self.attributes.append((text, words))


def nouns_of(document: Any, lemma: Lemma) -> dict[int, Noun]:
    """Return the objects of a parsed text by the place of their head word."""
    found: dict[int, Noun] = {}
    for token in document:
        if _is_object(token, lemma):
            found[token.i] = _noun(token, lemma)
    return found


def is_noun(token: Any) -> bool:
    """Tell whether a word is a noun, whatever the tagger took it for in so short a text."""
    if token.lower_ in NUMBERS or token.lower_ in NO_SUBJECTS or token.is_punct:
        return False
    if token.pos_ in ("NOUN", "PROPN"):
        return not doing_noun(token)
    return _misread(token)


def doing_noun(token: Any) -> bool:
    """Tell whether what looks like a noun is what the noun before it does: "zebra grazing on"."""
    if token.pos_ not in ("NOUN", "VERB") or token.i == 0:
        return False
    before = token.nbor(-1)
    if token.pos_ == "NOUN" and any(c.dep_ == "nsubj" for c in token.children):
        return not any(c.dep_ in ("aux", "det", "poss") for c in token.children)
    if before.dep_ not in ("compound", "nmod") or before.head != token or not before.is_alpha:
        return False
    follows = token.nbor(1) if token.i + 1 < len(token.doc) else None
    if token.lower_ in DOING:
        return follows is not None and follows.pos_ in ("ADP", "ADV", "PART", "CCONJ")
    if not token.lower_.endswith("ing") or token.lower_ in NOUNS_IN_ING:
        return False
    return follows is not None and follows.pos_ in ("ADP", "PART")


def noun_itself(token: Any) -> Any:
    """Return the noun that a parser meant: in "a coat walks down", "coat" where it says "walks"."""
    return token.nbor(-1) if doing_noun(token) and is_noun(token.nbor(-1)) else token


def _misread(token: Any) -> bool:
    """Take a verb without subject at a caption's start for a noun: "gravel between the tracks"."""
    if token.lower_ in NOUNS_IN_ING:
        return token.pos_ == "VERB" and not any(c.dep_ == "dobj" for c in token.children)
    if token.i > 1 or token.pos_ not in ("VERB", "ADV") or token.lower_ in ("is", "are"):
        return False
    if any(child.dep_ in ("nsubj", "dobj", "aux", "npadvmod", "expl") for child in token.children):
        return False
    if token.tag_ == "RB":
        return (
            token.dep_ in ("ROOT", "advmod")
            and token.i + 1 < len(token.doc)
            and (token.nbor(1).tag_ in ("IN", "VBG"))
            and token.lower_
            not in ("up", "down", "out", "off", "high", "close", "away", "outside", "inside")
        )
    participle = token.tag_ in ("VBN", "VBD") and not token.lower_.endswith("en")
    return token.tag_ != "VBG" and not participle


def quantified(token: Any, lemma: Lemma) -> Any | None:
    """Return the word that "a group of …" is about, if `token` is such a quantifier."""
    if lemma(token.text, "NOUN") not in QUANTIFIERS:
        return None
    for child in token.children:
        if child.lower_ == "of" and child.i > token.i:
            for thing in child.children:
                if thing.dep_ == "pobj" and is_noun(thing):
                    return thing
    return None


def is_place(token: Any, lemma: Lemma) -> bool:
    """Tell whether a noun such as "top" belongs to a preposition: "on the top of"."""
    if lemma(token.text, "NOUN") not in PLACES or not is_noun(token):
        return False
    after = any(c.dep_ == "prep" and c.lower_ == "of" for c in token.children)
    return after and not any(c.dep_ == "amod" for c in token.children)


def _is_object(token: Any, lemma: Lemma) -> bool:
    if not is_noun(token):
        return False
    if _modifies_next(token):
        return False
    if quantified(token, lemma) is not None or is_place(token, lemma):
        return False
    name = lemma(token.text, "NOUN")
    if token.dep_ == "pobj" and (
        (token.head.lower_ == "in" and name in {"color", "colour", "row", "line"})
        or (token.head.lower_ == "on" and name in PLACES)
    ):
        return False
    return not (name in QUANTIFIERS and token.head.lower_ == "a")


def _modifies_next(token: Any) -> bool:
    """Tell whether a noun stands before another one that it modifies."""
    return (
        token.dep_ in ("compound", "nmod", "amod", "npadvmod", "quantmod")
        and not doing_noun(token.head)
        and token.head.i > token.i
        and is_noun(token.head)
        and not any(t.is_punct and t.text != "-" for t in token.doc[token.i : token.head.i])
    )


def _noun(token: Any, lemma: Lemma) -> Noun:
    words, described = [token], list[tuple[str, list[Any]]]()
    modifiers = sorted(_modifiers(token), key=lambda word: -word.i)
    for word in modifiers:
        adjacent = word.i == words[0].i - 1 or (
            word.i == words[0].i - 2 and word.nbor(1).text == "-"
        )
        if adjacent and _joins(word, words, lemma):
            words = [*word.doc[word.i : words[0].i], *words]
        else:
            described.append(attribute(word))
    last = lemma(token.text, "NOUN")
    name = _spelled("".join(w.lower_ + w.whitespace_ for w in words[:-1]).strip(), last)
    noun = Noun(token, name, words)
    for text, where in reversed(described):
        noun.describe(text, where)
    return noun


def _modifiers(token: Any) -> Iterator[Any]:
    children = list(token.children)
    if token.i + 1 < len(token.doc) and doing_noun(token.nbor(1)):
        children += [child for child in token.nbor(1).children if child != token]
    for child in children:
        if child.i < token.i and child.dep_ in ("amod", "compound", "nmod", "nummod", "npadvmod"):
            yield from _and_conjuncts(child, token.i)
            if child.dep_ in ("compound", "nmod", "amod", "npadvmod") and is_noun(child):
                yield from _modifiers(child)


def _and_conjuncts(word: Any, end: int) -> Iterator[Any]:
    yield word
    for child in word.children:
        if (
            child.dep_ in ("conj", "amod")
            and child.i < end
            and not (child.dep_ == "amod" and is_noun(word))
        ):
            yield from _and_conjuncts(child, end)


def _joins(word: Any, words: list[Any], lemma: Lemma) -> bool:
    """Tell whether a modifier is part of the name: "tennis racket", "left hand", "hot dog"."""
    text, follows = word.lower_, words[0].lower_
    if (text, lemma(follows, "NOUN")) in FIXED:
        return True
    if text in SIDES:
        return True
    if not is_noun(word) or (word.dep_ == "npadvmod" and word.tag_ == "RB"):
        return False
    if any(child.dep_ == "cc" for child in word.children) or word.dep_ == "conj":
        return False
    return text not in MATERIALS and text not in COLOURS and text not in VAGUE


def attribute(word: Any) -> tuple[str, list[Any]]:
    """Return an attribute's text with its adverb or shade, and its words."""
    text = word.lower_
    if word.dep_ in ("nummod", "quantmod") or word.tag_ == "CD":
        number = NUMBERS.get(text, text)
        return ("" if number in ("one", "1") else number), [word]
    if text in VAGUE or (text in SHADES and _shades(word)) or text == "-":
        return "", [word]
    words = [word]
    for child in word.children:
        shade = child.lower_ in SHADES and text in COLOURS
        if (child.dep_ in ("advmod", "npadvmod") or shade) and child.i < word.i:
            if child.lower_ in ("very", "so", "too", "really", "also") or child.lower_ in COLOURS:
                continue
            words = [*word.doc[child.i : word.i], word]
            break
    before = word.nbor(-1) if word.i else None
    if len(words) == 1 and before is not None and before.lower_ in SHADES and text in COLOURS:
        words = [before, word]
    joined = "".join(w.lower_ + w.whitespace_ for w in words).strip().replace(" - ", "-")
    return ADJECTIVES.get(joined, joined), words


def _shades(word: Any) -> bool:
    return word.i + 1 < len(word.doc) and word.nbor(1).lower_ in COLOURS


def _spelled(before: str, last: str) -> str:
    name = f"{before} {last}".strip().replace(" - ", "-").replace("- ", "-")
    return SPELLING.get(name, name)


def wears(noun: Noun) -> bool:
    """Tell whether a thing is worn, so that "in" it means wearing it."""
    return noun.name.split()[-1] in CLOTHES


def kept_quantifier(token: Any, lemma: Lemma) -> str:
    """Return what a quantifier tells of its things, such as "group of", or nothing."""
    return KEPT_QUANTIFIERS.get(lemma(token.text, "NOUN"), "")
