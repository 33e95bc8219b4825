"""What a parsed text says of two of its objects, and what verbs say of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crossrank_graphs.nouns import (
    Lemma,
    Noun,
    attribute,
    doing_noun,
    is_noun,
    is_place,
    noun_itself,
    quantified,
    wears,
)
from crossrank_graphs.words import AGENTIVE, ANIMATE, CONTAINERS, HOLDING, PLACES, SPELLING, STATIC


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

    def relations(self) -> Iterator[Said]:
        """Yield the relations in the order of the text, duplicates kept."""
        for token in self.document:
            if token.dep_ == "poss":
                yield from self._possessed(token)
            elif token.pos_ == "ADP" or (
                token.pos_ in ("ADV", "PART", "SCONJ") and _has_pobj(token)
            ):
                yield from self._preposition(token)
            elif self._is_verb(token):
                yield from self._verb(token)
            elif token.pos_ == "AUX":
                yield from self._auxiliary(token)

    def things(self, token: Any, up: bool = False) -> list[Any]:
        """Return the objects that a noun stands for: what it quantifies, and its conjuncts."""
        found = []
        inner = quantified(token, self.lemma)
        if inner is not None:
            found += self.things(inner)
        elif token.i in self.nouns:
            found.append(token)
        for child in token.children:
            if child.dep_ == "conj" and is_noun(child) and child.i > token.i:
                found += [thing for thing in self.things(child) if thing not in found]
        if up and token.dep_ == "conj" and is_noun(token.head):
            head = token.head
            while True:
                found = [
                    t for t in ([head] if head.i in self.nouns else []) if t not in found
                ] + found
                if head.dep_ != "conj" or not is_noun(head.head):
                    break
                head = head.head
        return found

    def subjects(self, verb: Any) -> list[Any]:
        """Return the objects that do what a verb says."""
        for child in verb.children:
            if child.dep_ in ("nsubj", "nsubjpass") and child.i < verb.i:
                if is_noun(child):
                    return self.things(child)
                if child.tag_ in ("WDT", "WP") and verb.dep_ == "relcl":
                    return self._before(verb)
                return []
        if verb.dep_ in ("acl", "relcl"):
            return self._before(verb)
        if doing_noun(verb):
            return self._before_doing(verb)
        if verb.dep_ in ("advcl", "xcomp", "ccomp", "conj", "pcomp", "dep"):
            head = verb.head
            if self._is_verb(head) or head.pos_ == "AUX":
                return self.subjects(head)
            if is_noun(head):
                return self.things(head)
        for child in verb.children:
            if child.dep_ in ("npadvmod", "compound", "dep", "attr") and is_noun(child):
                return self.things(child)
        return []

    def _before(self, verb: Any) -> list[Any]:
        """Return the head noun of a clause and its conjuncts that stand before the clause."""
        if not is_noun(verb.head):
            return []
        head = self._agent(verb, verb.head)
        return [thing for thing in self.things(head, up=True) if thing.i < verb.i]

    def _agent(self, verb: Any, head: Any) -> Any:
        """Return who does it: in "a boy with a stick kneeling", not the stick."""
        while head.dep_ in ("pobj", "dobj") and not self._animate(head):
            outer = head.head if head.dep_ == "dobj" else head.head.head
            if self._is_verb(outer) and self.lemma(verb.text, "VERB") in AGENTIVE:
                subjects = self.subjects(outer)
                return subjects[0] if subjects and self._animate(subjects[0]) else head
            if not is_noun(outer) or not self._animate(outer):
                break
            head = outer
        return head

    def _before_doing(self, verb: Any) -> list[Any]:
        """Return the man of "a man in a shirt climbing", where the verb hangs on "in"."""
        before = noun_itself(verb)
        if before is verb:
            return []
        if not self._animate(before) and verb.dep_ in ("pobj", "dobj"):
            outer = verb.head.head if verb.dep_ == "pobj" else verb.head
            if self._is_verb(outer):
                return self.subjects(outer)
            if is_noun(outer) and self._animate(outer):
                return self.things(outer)
        return self.things(before, up=True)

    def _animate(self, token: Any) -> bool:
        return self.lemma(token.text, "NOUN") in ANIMATE

    def _is_verb(self, token: Any) -> bool:
        if doing_noun(token):
            return True
        return (
            token.pos_ == "VERB"
            and token.i not in self.nouns
            and token.dep_ not in ("amod", "compound", "aux", "auxpass")
        )

    def _possessed(self, token: Any) -> Iterator[Said]:
        if is_noun(token):
            for owner in self.things(token):
                for thing in self.things(token.head)[:1]:
                    yield Said(owner, "have", thing, ())

    def _preposition(self, token: Any) -> Iterator[Said]:
        objects = [child for child in token.children if child.dep_ == "pobj"]
        for target in map(noun_itself, objects):
            words, governor = self._climb(token)
            if self._each_other(target):
                for subject in self._governed(governor, target):
                    yield Said(subject, self._predicate(governor, words), subject, tuple(words))
            elif target.lower_ == "it" and token.lower_ == "in" and is_noun(governor):
                yield from self._in_it(governor, words)
            elif is_noun(target) and not self._goes_on(target) and not _holds_it(target):
                for thing in self.things(target):
                    yield from self._said(governor, words, thing)

    def _goes_on(self, target: Any) -> bool:
        return is_place(target, self.lemma)

    def _each_other(self, target: Any) -> bool:
        return target.lower_ == "other" and any(c.lower_ == "each" for c in target.children)

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
        if self._is_verb(governor):
            parts = [self.lemma(governor.text, "VERB")]
            parts += [
                c.lower_
                for c in governor.children
                if c.dep_ == "prt" and c not in words and _has_pobj(c) is False and c.lower_ != "in"
            ]
            return " ".join([*parts, text])
        return text

    def _governed(self, governor: Any, target: Any) -> list[Any]:
        if self._is_verb(governor) or governor.pos_ == "AUX":
            subjects = self.subjects(governor)
            if not subjects and governor.pos_ == "AUX":
                for child in governor.children:
                    if child.dep_ == "attr" and is_noun(child):
                        return self.things(child)
            return subjects
        if is_noun(governor):
            return [thing for thing in self.things(governor, up=True) if thing.i < target.i]
        if governor.pos_ == "ADJ" and governor.dep_ in ("acomp", "amod"):
            head = governor.head
            return self.subjects(head) if head.pos_ in ("AUX", "VERB") else self.things(head)
        return []

    def _said(self, governor: Any, words: list[Any], thing: Any) -> Iterator[Said]:
        first = words[0]
        if len(words) == 1 and first.lower_ == "of" and is_noun(governor):
            yield from self._of(governor, thing, first)
            return
        subjects = self._governed(governor, thing)
        if self._is_verb(governor):
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
                    for held in self.things(direct[0])[:1]:
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
            for inner in self.things(governor):
                for outer in self.things(governor.head.head)[:1]:
                    yield Said(inner, words[0].lower_, outer, tuple(words))

    def _verb(self, verb: Any) -> Iterator[Said]:
        name = self.lemma(verb.text, "VERB")
        subjects = self.subjects(verb)
        particles = [c.lower_ for c in verb.children if c.dep_ == "prt" and not _stranded(c)]
        direct = [noun_itself(c) for c in verb.children if c.dep_ == "dobj"]
        direct = [token for token in direct if is_noun(token)]
        said = False
        for target in direct:
            for thing in self.things(target):
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
            for thing in self.things(verb.head)[:1]:
                for subject in own:
                    text = " ".join(word for word in words if word)
                    yield Said(subject, text, thing, (verb, *stranded[:1]))

    def _auxiliary(self, token: Any) -> Iterator[Said]:
        if token.dep_ == "aux" and is_noun(token.head) and token.lower_ in ("has", "have"):
            for child in token.head.children:
                if child.dep_ == "nsubj" and is_noun(child):
                    for subject in self.things(child):
                        for thing in self.things(token.head):
                            yield Said(subject, "have", thing, (token,))
        elif token.dep_ == "relcl":
            yield from self._of_which(token, self.subjects(token), "")

    def describe(self) -> None:
        """Give objects what "is" and "has" say of them: "the sky is blue"."""
        for token in self.document:
            if token.dep_ not in ("acomp", "oprd") or token.lower_ in ("next", "close", "full"):
                continue
            if token.head.pos_ not in ("AUX", "VERB"):
                continue
            for subject in self.subjects(token.head):
                for word in (
                    token,
                    *(c for c in token.conjuncts if c.pos_ in ("ADJ", "VERB", "NOUN")),
                ):
                    self.nouns[subject.i].describe(*attribute(word, self.lemma))


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
