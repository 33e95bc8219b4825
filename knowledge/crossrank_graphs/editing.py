"""Hard negatives: a caption whose words stay and whose meaning changes, by an edit of its graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

from crossrank.errors import InputError, nearest
from crossrank_graphs.graph import Graph, Object, Relation, Span, moved
from crossrank_graphs.rewriting import Rewriting, rewritten
from crossrank_graphs.words import CLASSES, OPPOSITES, PLURALS, SYMMETRIC, THINGS

_ARTICLE = re.compile(r"\b(an?|the|some|another)\s+$", re.IGNORECASE)
_BOUND = re.compile(
    r"\b(one|two|his|her|its|their|my|our|your|each|every|both|no|any|other|\w+'s?)\s+$",
    re.IGNORECASE,
)
"""What belongs to a name and is no attribute: the phrase cannot move without it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A changed text.

    Parameters
    ----------
    kind
        One of `KINDS`.
    text
        The new text.
    graph
        Its graph, derived from the old one by the same change.
    changed
        What was exchanged, or the old and the new predicate.
    """

    kind: str
    text: str
    graph: Graph
    changed: tuple[str, str]


def edits(graph: Graph, kinds: Sequence[str] | None = None, alike: bool = True) -> Iterator[Edit]:
    """Yield every edit of a graph, in the order of `kinds`, then of the text.

    ``swap_attributes`` exchanges the attributes of two objects, ``swap_objects`` two objects under
    their attributes, ``swap_ends`` the subject and object of a relation with their attributes, and
    ``replace_relation`` puts the opposite preposition.  Articles and capitals follow.  An edit that
    says the same as before ("a man next to a dog") is left out, as is a swap that would break
    number or agreement.

    Parameters
    ----------
    graph
        With spans, as `RuleParser` gives it; parts without spans are not edited.
    kinds
        Some of `KINDS`; all by default.
    alike
        Exchange only attributes of one class (two colours, two sizes) and only objects that are
        both alive or both not, so that the new text is as likely as the old one.

    Raises
    ------
    InputError
        For an unknown kind.
    """
    for kind in KINDS if kinds is None else kinds:
        if kind not in _MAKERS:
            raise InputError(f"edits: there is no kind {kind!r}{nearest(kind, KINDS)}")
        seen = {graph.text}
        for edit in _MAKERS[kind](graph, alike):
            if edit.text not in seen and _meaning(edit.graph) != _meaning(graph):
                seen.add(edit.text)
                yield edit


def _swap_attributes(graph: Graph, alike: bool) -> Iterator[Edit]:
    for one, other in combinations(graph.objects, 2):
        for i, first in enumerate(one.attributes):
            for j, second in enumerate(other.attributes):
                if not (one.attribute_spans and other.attribute_spans):
                    continue
                if first in other.attributes or second in one.attributes or one.name == other.name:
                    continue
                kinds = _class(first), _class(second)
                if " of" in first + second or ("number" in kinds and kinds[0] != kinds[1]):
                    continue
                if alike and (not kinds[0] or kinds[0] != kinds[1]):
                    continue
                spans = one.attribute_spans[i], other.attribute_spans[j]
                text = rewritten(graph.text, spans, tuple(_at(graph, s) for s in reversed(spans)))
                objects = _moved(graph, text)
                a, b = objects[one.index], objects[other.index]
                objects[a.index] = replace(a, attributes=_put(a.attributes, i, second))
                objects[b.index] = replace(b, attributes=_put(b.attributes, j, first))
                yield _edit("swap_attributes", graph, text, objects, (first, second))


def _swap_objects(graph: Graph, alike: bool) -> Iterator[Edit]:
    for one, other in combinations(graph.objects, 2):
        if one.span is None or other.span is None or one.name == other.name:
            continue
        if _plural(graph, one) != _plural(graph, other):
            continue
        if alike and (not _thing(one) or _thing(one) != _thing(other)):
            continue
        spans = one.span, other.span
        text = rewritten(graph.text, spans, tuple(_at(graph, s) for s in reversed(spans)))
        objects = _moved(graph, text)
        a, b = objects[one.index], objects[other.index]
        objects[a.index], objects[b.index] = replace(a, name=b.name), replace(b, name=a.name)
        yield _edit("swap_objects", graph, text, objects, (one.name, other.name))


def _swap_ends(graph: Graph, alike: bool) -> Iterator[Edit]:
    for relation in graph.relations:
        one, other = relation.subject, relation.object
        if one.name == other.name or relation.predicate in ("have", "wear", "with"):
            continue
        here, there = _phrase(graph, one), _phrase(graph, other)
        if here is None or there is None or _plural(graph, one) != _plural(graph, other):
            continue
        if alike and (not _thing(one) or _thing(one) != _thing(other)):
            continue
        text = rewritten(graph.text, (here, there), (_at(graph, there), _at(graph, here)))
        objects = _moved(graph, text)
        objects[one.index] = moved(other, one.index, text.place(here)[0] - there[0])
        objects[other.index] = moved(one, other.index, text.place(there)[0] - here[0])
        yield _edit("swap_ends", graph, text, objects, (one.phrase, other.phrase))


def _replace_relation(graph: Graph, alike: bool) -> Iterator[Edit]:
    for number, relation in enumerate(graph.relations):
        if relation.span is None:
            continue
        start, end = relation.span
        said = graph.text[start:end]
        for old, new in OPPOSITES.items():
            if not (said == old or said.endswith(" " + old)):
                continue
            span = end - len(old), end
            text = rewritten(graph.text, (span,), (new,))
            objects = _moved(graph, text)
            predicate = relation.predicate.removesuffix(old) + new
            yield _edit("replace_relation", graph, text, objects, (old, new), {number: predicate})
            break


_MAKERS: dict[str, Callable[[Graph, bool], Iterator[Edit]]] = {
    "swap_attributes": _swap_attributes,
    "swap_objects": _swap_objects,
    "swap_ends": _swap_ends,
    "replace_relation": _replace_relation,
}

KINDS = tuple(_MAKERS)
"""What `edits` can change."""


def _edit(
    kind: str,
    graph: Graph,
    text: Rewriting,
    objects: Sequence[Object],
    changed: tuple[str, str],
    predicates: dict[int, str] | None = None,
) -> Edit:
    renamed = {} if predicates is None else predicates
    relations = tuple(
        Relation(
            objects[one.subject.index],
            renamed.get(number, one.predicate),
            objects[one.object.index],
            None if one.span is None else text.place(one.span),
        )
        for number, one in enumerate(graph.relations)
    )
    return Edit(kind, text.text, Graph(text.text, tuple(objects), relations), changed)


def _moved(graph: Graph, text: Rewriting) -> list[Object]:
    """Return the objects where the new text has them, as yet under their old names."""
    return [
        replace(
            thing,
            span=None if thing.span is None else text.place(thing.span),
            attribute_spans=tuple(text.place(span) for span in thing.attribute_spans),
        )
        for thing in graph.objects
    ]


def _at(graph: Graph, span: Span) -> str:
    return graph.text[span[0] : span[1]]


def _put(words: tuple[str, ...], place: int, word: str) -> tuple[str, ...]:
    return (*words[:place], word, *words[place + 1 :])


def _phrase(graph: Graph, thing: Object) -> Span | None:
    """Return the span of a name with its attributes, if nothing else stands in between."""
    if thing.span is None or len(thing.attribute_spans) != len(thing.attributes):
        return None
    spans = sorted((*thing.attribute_spans, thing.span))
    if spans[-1] != thing.span:
        return None
    for (_, end), (start, _) in pairwise(spans):
        if graph.text[end:start].strip(" ,-") not in ("", "and"):
            return None
    before = graph.text[: spans[0][0]]
    article = _ARTICLE.search(before)
    if article is None and _BOUND.search(before):
        return None
    return (article.start() if article else spans[0][0]), spans[-1][1]


def _class(attribute: str) -> str:
    last = attribute.split()[-1]
    return "number" if last.isdigit() else CLASSES.get(last, "")


def _thing(thing: Object) -> str:
    return THINGS.get(thing.name.split()[-1], "")


def _plural(graph: Graph, thing: Object) -> bool:
    said = "" if thing.span is None else _at(graph, thing.span).lower().split()[-1]
    return said in PLURALS or (said.endswith("s") and said != thing.name.split()[-1])


def _meaning(graph: Graph) -> frozenset[tuple[object, ...]]:
    """Return the facts, where symmetric relations have no first end."""
    found: set[tuple[object, ...]] = set()
    for fact in graph.facts():
        if len(fact) == 3 and any(fact[1].endswith(word) for word in SYMMETRIC):
            found.add((frozenset((fact[0], fact[2])), fact[1]))
        else:
            found.add(fact)
    return frozenset(found)
