"""Who does what a verb says, and the objects that a noun stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossrank_graphs.nouns import Lemma, Noun, doing_noun, is_noun, noun_itself, quantified
from crossrank_graphs.words import AGENTIVE, ANIMATE


class Subjects:
    """Finds the objects of one parsed text that a word speaks of.

    Parameters
    ----------
    nouns
        Its objects by the place of their head word.
    lemma
        Lemmas of single words.
    """

    def __init__(self, nouns: Mapping[int, Noun], lemma: Lemma) -> None:
        self.nouns, self.lemma = nouns, lemma

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
            if self.is_verb(head) or head.pos_ == "AUX":
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
            if self.is_verb(outer) and self.lemma(verb.text, "VERB") in AGENTIVE:
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
            if self.is_verb(outer):
                return self.subjects(outer)
            if is_noun(outer) and self._animate(outer):
                return self.things(outer)
        return self.things(before, up=True)

    def _animate(self, token: Any) -> bool:
        return self.lemma(token.text, "NOUN") in ANIMATE

    def is_verb(self, token: Any) -> bool:
        """Return whether a word is a verb of its own, and not part of a noun's description."""
        if doing_noun(token):
            return True
        return (
            token.pos_ == "VERB"
            and token.i not in self.nouns
            and token.dep_ not in ("amod", "compound", "aux", "auxpass")
        )
