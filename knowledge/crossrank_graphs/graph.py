"""Records of a scene graph: objects with attributes, and relations between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from crossrank.errors import InputError

Span: TypeAlias = tuple[int, int]
"""First character and the one after the last, in the text of the graph."""

Fact: TypeAlias = tuple[str, ...]
"""``(name,)``, ``(name, attribute)`` or ``(subject, predicate, object)``."""


@dataclass(frozen=True, slots=True)
class Object:
    """A thing that a text names.

    Parameters
    ----------
    index
        Its place in `Graph.objects`, which tells two dogs of one text apart.
    name
        Its lemma, such as ``"tennis racket"``.
    attributes
        What it is said to be, in the order of the text; a number is written in digits.
    span
        Where its name stands in the text, if that is known.
    attribute_spans
        Where each attribute stands; empty if that is not known.
    """

    index: int
    name: str
    attributes: tuple[str, ...] = ()
    span: Span | None = None
    attribute_spans: tuple[Span, ...] = ()

    @property
    def phrase(self) -> str:
        """Attributes and name in one string."""
        return " ".join((*self.attributes, self.name))


@dataclass(frozen=True, slots=True)
class Relation:
    """What a text says of two objects; `span` covers the words of the predicate."""

    subject: Object
    predicate: str
    object: Object
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """The scene that a text describes.

    A text without objects has an empty graph; cycles and two objects of one name are allowed.

    Raises
    ------
    InputError
        If an object's index is not its place, its attributes and their spans differ in number,
        or a relation has an end that is not among the objects.
    """

    text: str
    objects: tuple[Object, ...] = ()
    relations: tuple[Relation, ...] = ()

    def __post_init__(self) -> None:
        for place, thing in enumerate(self.objects):
            if thing.index != place:
                raise InputError(
                    f"graph of {self.text!r}: the object {thing.name!r} at place {place} "
                    f"has the index {thing.index}"
                )
            if thing.attribute_spans and len(thing.attribute_spans) != len(thing.attributes):
                raise InputError(
                    f"graph of {self.text!r}: the object {thing.name!r} has "
                    f"{len(thing.attributes)} attributes and {len(thing.attribute_spans)} spans"
                )
        for relation in self.relations:
            for end in (relation.subject, relation.object):
                if not (0 <= end.index < len(self.objects)) or self.objects[end.index] != end:
                    raise InputError(
                        f"graph of {self.text!r}: the relation {relation.predicate!r} ends in "
                        f"{end.name!r}, which is not among the objects"
                    )

    def facts(self) -> frozenset[Fact]:
        """Return the set of objects, attributes and relations as tuples of words."""
        found: set[Fact] = {(thing.name,) for thing in self.objects}
        found |= {(thing.name, word) for thing in self.objects for word in thing.attributes}
        found |= {(r.subject.name, r.predicate, r.object.name) for r in self.relations}
        return frozenset(found)

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON, which `from_dict` reads; relations name objects by place."""
        return {
            "text": self.text,
            "objects": [_without_empty(_object_dict(thing)) for thing in self.objects],
            "relations": [
                _without_empty(
                    {
                        "subject": relation.subject.index,
                        "predicate": relation.predicate,
                        "object": relation.object.index,
                        "span": relation.span,
                    }
                )
                for relation in self.relations
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Graph:
        """Read what `to_dict` gave.

        Raises
        ------
        InputError
            Saying which text lacks which key, or which relation ends nowhere.
        """
        text = str(data.get("text", ""))
        try:
            objects = tuple(
                Object(
                    place,
                    str(entry["name"]),
                    tuple(str(word) for word in entry.get("attributes", ())),
                    _span(entry.get("span")),
                    tuple((int(a), int(b)) for a, b in entry.get("attribute_spans", ())),
                )
                for place, entry in enumerate(data["objects"])
            )
            ends = [
                (int(entry["subject"]), str(entry["predicate"]), int(entry["object"]), entry)
                for entry in data.get("relations", ())
            ]
        except KeyError as error:
            raise InputError(f"graph of {text!r}: the key {error} is missing") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"graph of {text!r} has not the form of Graph.to_dict") from error
        return cls(
            text,
            objects,
            tuple(
                Relation(
                    _end(text, objects, subject, predicate),
                    predicate,
                    _end(text, objects, target, predicate),
                    _span(entry.get("span")),
                )
                for subject, predicate, target, entry in ends
            ),
        )


def graph_of_names(
    text: str,
    objects: Iterable[tuple[str, Sequence[str]]],
    relations: Iterable[tuple[int, str, int]],
) -> Graph:
    """Return a graph without spans, from names with attributes and relations between places.

    Raises
    ------
    InputError
        If a relation has an end that is not among the objects.
    """
    things = tuple(Object(place, name, tuple(words)) for place, (name, words) in enumerate(objects))
    return Graph(
        text,
        things,
        tuple(
            Relation(_end(text, things, a, predicate), predicate, _end(text, things, b, predicate))
            for a, predicate, b in relations
        ),
    )


def moved(thing: Object, index: int, characters: int) -> Object:
    """Return an object at another place of the graph, and so many characters further on."""
    return Object(
        index,
        thing.name,
        thing.attributes,
        None if thing.span is None else shifted(thing.span, characters),
        tuple(shifted(span, characters) for span in thing.attribute_spans),
    )


def shifted(span: Span, by: int) -> Span:
    """Return a span that lies `by` characters further on."""
    return span[0] + by, span[1] + by


def _object_dict(thing: Object) -> dict[str, Any]:
    return {
        "name": thing.name,
        "attributes": list(thing.attributes),
        "span": thing.span,
        "attribute_spans": list(thing.attribute_spans),
    }


def _without_empty(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if value is not None and value != []}


def _span(value: Any) -> Span | None:
    return None if value is None else (int(value[0]), int(value[1]))


def _end(text: str, objects: tuple[Object, ...], place: int, predicate: str) -> Object:
    if not 0 <= place < len(objects):
        raise InputError(
            f"graph of {text!r}: the relation {predicate!r} ends in object {place}, "
            f"but there are {len(objects)} objects"
        )
    return objects[place]
