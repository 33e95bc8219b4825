"""What a parsed text says of two of its objects, and what verbs say of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crossrank_graphs.nouns import Lemma, Noun, attribute, is_noun, is_place, noun_itself, wears
from crossrank_graphs.subjects import Subjects
from crossrank_graphs.words import CONTAINERS, HOLDING, PLACES, SPELLING, STATIC


@dataclass(frozen=True, slots=True)
class Said:
    """A relation between the head words of two objects."""

    subject: Any
    predicate: str
    object: Any
    words: tuple[Any, ...]


class Reader:
    """Finds relations of one parsed text.

    Parameters
    ----------
    document
        A spaCy document.
    nouns
        Its objects by the place of their head word; verbs without company describe them.
    lemma
        Lemmas of single words.
    """

    def __init__(self, document: Any, nouns: dict[int, Noun], lemma: Lemma) -> None:
        self.document, self.nouns, self.lemma = document, nouns, lemma
        self.who = Subjects(nouns, lemma)

    def relations(self) -> Iterator[Said]:
        """Yield the relations in the order of the text, duplicates kept."""
        for token in self.document:
            if token.dep_ == "poss":
                yield from self._possessed(token)
            elif token.pos_ == "ADP" or (
                token.pos_ in ("ADV", "PART", "SCONJ") and _has_pobj(token)
            ):
                yield from self._preposition(token)
            elif self.who.is_verb(token):
                yield from self._verb(token)
            elif token.pos_ == "AUX":
                yield from self._auxiliary(token)

    def _possessed(self, token: Any) -> Iterator[Said]:
        if is_noun(token):
            for owner in self.who.things(token):
                for thing in self.who.things(token.head)[:1]:
                    yield Said(owner, "have", thing, ())

    def _preposition(self, token: Any) -> Iterator[Said]:
        objects = [child for child in token.children if child.dep_ == "pobj"]
        for target in map(noun_itself, objects):
            words, governor = self._climb(token)
            if target.lower_ == "other" and any(c.lower_ == "each" for c in target.children):
                for subject in self._governed(governor, target):
                    yield Said(subject, self._predicate(governor, words), subject, tuple(words))
            elif target.lower_ == "it" and token.lower_ == "in" and is_noun(governor):
                yield from self._in_it(governor, words)
            elif is_noun(target) and not is_place(target, self.lemma) and not _holds_it(target):
                for thing in self.who.things(target):
                    yield from self._said(governor, words, thing)

    def _climb(self, token: Any) -> tuple[list[Any], Any]:
        """Return the words of a preposition and what it depends on: "on top of", "next to"."""
        words, head = [token], token.head
        while head is not words[0]:
            if is_place(head, self.lemma) and token.lower_ == "of":
                words.insert(0, head)
                if head.dep_ != "pobj":
                    break
                head = head.head
                words.insert(0, head)
                head = head.head
            elif head.i in self.nouns:
                break
            elif head.pos_ in ("ADP", "ADV") or (
                head.pos_ == "ADJ" and head.lower_ in ("next", "close", "near", "full")
            ):
                words.insert(0, head)
                if head.dep_ == "ROOT":
                    break
                head = head.head
            else:
                break
        return words, head

    def _predicate(self, governor: Any, words: list[Any]) -> str:
        """Return "stand next to" of "standing next to"."""
        place = next(
            (w for w in words if self.lemma(w.text, "NOUN") in PLACES and is_noun(w)), None
        )
        if place is not None:
            text = PLACES[self.lemma(place.text, "NOUN")]
        else:
            text = " ".join(word.lower_ for word in words)
        text = {"in between": "between", "inside of": "inside", "outside of": "outside"}.get(
            text, text
        )
        text = SPELLING.get(text, text)
        if self.who.is_verb(governor):
            parts = [self.lemma(governor.text, "VERB")]
            parts += [
                c.lower_
                for c in governor.children
                if c.dep_ == "prt" and c not in words and _has_pobj(c) is False and c.lower_ != "in"
            ]
            return " ".join([*parts, text])
        return text

    def _governed(self, governor: Any, target: Any) -> list[Any]:
        if self.who.is_verb(governor) or governor.pos_ == "AUX":
            subjects = self.who.subjects(governor)
            if not subjects and governor.pos_ == "AUX":
                for child in governor.children:
                    if child.dep_ == "attr" and is_noun(child):
                        return self.who.things(child)
            return subjects
        if is_noun(governor):
            return [thing for thing in self.who.things(governor, up=True) if thing.i < target.i]
        if governor.pos_ == "ADJ" and governor.dep_ in ("acomp", "amod"):
            head = governor.head
            return (
                self.who.subjects(head) if head.pos_ in ("AUX", "VERB") else self.who.things(head)
            )
        return []

    def _said(self, governor: Any, words: list[Any], thing: Any) -> Iterator[Said]:
        first = words[0]
        if len(words) == 1 and first.lower_ == "of" and is_noun(governor):
            yield from self._of(governor, thing, first)
            return
        subjects = self._governed(governor, thing)
        if self.who.is_verb(governor):
            passive = governor.tag_ in ("VBN", "VBD") and first.lower_ == "by"
            verb = self.lemma(governor.text, "VERB")
            if passive and verb not in STATIC:
                for subject in subjects:
                    yield Said(thing, verb, subject, (governor, first))
                return
            direct = [
                c for c in governor.children if c.dep_ == "dobj" and is_noun(c) and c.i < thing.i
            ]
            if direct:
                text = self._predicate(governor, words)
                text = text.removeprefix(verb).strip()
                if verb in HOLDING:
                    for held in self.who.things(direct[0])[:1]:
                        yield Said(held, text, thing, tuple(words))
                    return
                if first.lower_ in ("on", "in", "at", "near", "by"):
                    for subject in subjects:
                        yield Said(subject, text, thing, tuple(words))
                    return
            for subject in subjects:
                yield Said(subject, self._predicate(governor, words), thing, (governor, *words))
            return
        predicate = self._predicate(governor, words)
        if predicate == "in" and thing.i in self.nouns and wears(self.nouns[thing.i]):
            predicate = "wear"
        for subject in subjects:
            if subject is not thing:
                yield Said(subject, predicate, thing, tuple(words))

    def _of(self, governor: Any, thing: Any, word: Any) -> Iterator[Said]:
        if governor.i not in self.nouns:
            return
        inside = CONTAINERS.get(self.nouns[governor.i].name)
        if inside is not None:
            yield Said(thing, inside, governor, (word,))
        else:
            yield Said(thing, "have", governor, (word,))

    def _in_it(self, governor: Any, words: list[Any]) -> Iterator[Said]:
        """Yield "flowers in bowl" of "a bowl with flowers in it"."""
        if governor.dep_ == "pobj" and is_noun(governor.head.head):
            for inner in self.who.things(governor):
                for outer in self.who.things(governor.head.head)[:1]:
                    yield Said(inner, words[0].lower_, outer, tuple(words))

    def _verb(self, verb: Any) -> Iterator[Said]:
        name = self.lemma(verb.text, "VERB")
        subjects = self.who.subjects(verb)
        particles = [c.lower_ for c in verb.children if c.dep_ == "prt" and not _stranded(c)]
        direct = [noun_itself(c) for c in verb.children if c.dep_ == "dobj"]
        direct = [token for token in direct if is_noun(token)]
        said = False
        for target in direct:
            for thing in self.who.things(target):
                for subject in subjects:
                    said = True
                    yield Said(subject, " ".join([name, *particles]), thing, (verb,))
        if not direct:
            for one in self._of_which(verb, subjects, name):
                said = True
                yield one
        company = any(_has_pobj(c) or any(_has_pobj(g) for g in c.children) for c in verb.children)
        if not said and not company and verb.tag_ in ("VBG", "VBN"):
            for subject in subjects:
                self.nouns[subject.i].describe(verb.lower_, [verb])
                for child in verb.children:
                    if child.dep_ == "advmod" and child.lower_ in ("outside", "inside", "outdoors"):
                        self.nouns[subject.i].describe(child.lower_, [child])

    def _of_which(self, verb: Any, subjects: list[Any], name: str) -> Iterator[Said]:
        """Yield "vase on table" of "the table that the vase is on"."""
        if not is_noun(verb.head) or verb.dep_ not in ("relcl", "ccomp"):
            return
        own = [subject for subject in subjects if subject.i > verb.head.i]
        stranded = [c for c in verb.children if _stranded(c)]
        for child in verb.children:
            if child.dep_ == "prep" and any(c.tag_ == "WDT" for c in child.children):
                stranded.append(child)
        if own and (stranded or (name and not any(_has_pobj(c) for c in verb.children))):
            words = [name, *(c.lower_ for c in stranded[:1])]
            for thing in self.who.things(verb.head)[:1]:
                for subject in own:
                    text = " ".join(word for word in words if word)
                    yield Said(subject, text, thing, (verb, *stranded[:1]))

    def _auxiliary(self, token: Any) -> Iterator[Said]:
        if token.dep_ == "aux" and is_noun(token.head) and token.lower_ in ("has", "have"):
            for child in token.head.children:
                if child.dep_ == "nsubj" and is_noun(child):
                    for subject in self.who.things(child):
                        for thing in self.who.things(token.head):
                            yield Said(subject, "have", thing, (token,))
        elif token.dep_ == "relcl":
            yield from self._of_which(token, self.who.subjects(token), "")

    def describe(self) -> None:
        """Give objects what "is" and "has" say of them: "the sky is blue"."""
        for token in self.document:
            if token.dep_ not in ("acomp", "oprd") or token.lower_ in ("next", "close", "full"):
                continue
            if token.head.pos_ not in ("AUX", "VERB"):
                continue
            for subject in self.who.subjects(token.head):
                for word in (
                    token,
                    *(c for c in token.conjuncts if c.pos_ in ("ADJ", "VERB", "NOUN")),
                ):
                    self.nouns[subject.i].describe(*attribute(word))


def _holds_it(target: Any) -> bool:
    """Tell whether "with liquid in it" follows, which says more than "with liquid"."""
    return target.head.lower_ == "with" and any(
        child.lower_ == "in" and any(c.lower_ == "it" for c in child.children)
        for child in target.children
    )


def _has_pobj(token: Any) -> bool:
    return any(child.dep_ == "pobj" for child in token.children)


def _stranded(token: Any) -> bool:
    return (
        token.dep_ in ("prep", "prt")
        and token.tag_ in ("IN", "RP")
        and not any(True for _ in token.children)
        and (
            token.lower_
            in ("on", "in", "at", "from", "with", "over", "under", "through", "to", "behind")
        )
    )
