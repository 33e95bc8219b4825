"""Encoding both sides of a drop-in call with the features that its stages need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from crossrank._encode.brought import gathered
from crossrank._features.encoding import KeptEncoder
from crossrank._items.collection import Collection
from crossrank._items.compose import compose
from crossrank._items.images import open_image
from crossrank._items.item import Item, ItemLike, as_parts, listed
from crossrank._lists.candidates import Candidates
from crossrank._pipeline import Pipeline
from crossrank._rerank.lists import Lists
from crossrank.errors import ImageError, InputError
from crossrank.plugin.contract import Context, Encoder, Needs, Progress, Reranker

QueryLike: TypeAlias = ItemLike | Sequence[ItemLike]


def query_parts(query: QueryLike, encoder: Encoder) -> tuple[Item, ...]:
    """Return a query's items: a picture with a text is one where the encoder knows both at once."""
    items = as_parts(query)
    if len(items) == 1 and "+" not in items[0].modality:
        return items
    pictures = [item for item in items if item.image is not None]
    texts = [item for item in items if item.text is not None]
    if encoder.info.features.get("image+text") and len(pictures) == len(texts) == 1:
        id = next((item.id for item in (*texts, *pictures) if item.id is not None), None)
        known = {**pictures[0].features, **texts[0].features} if len(items) == 1 else {}
        return (Item(id, texts[0].text, pictures[0].image, **known),)
    split = []
    for item in items:
        if item.modality == "image+text":
            split += [Item(item.id, image=item.image), Item(item.id, item.text)]
        else:
            split.append(item)
    return tuple(split)


def needs_of(
    pipeline: Pipeline, asked: Asked, gallery: Collection | Loose, candidates: Candidates
) -> Needs:
    """Return the features that any stage reads of either side."""
    direction = candidates.check_direction(asked.modality, gallery.modality)
    scorers = [stage.scorer for stage in pipeline.stages]
    if all(type(each).needs is Reranker.needs for each in scorers):
        needs = [Needs(e.info.query_features, e.info.candidate_features) for e in scorers]
    else:
        known = gallery if isinstance(gallery, Collection) else gallery.known()
        context = Context(asked.known(), known, candidates, direction)
        needs = [each.needs(context) for each in scorers]
    return Needs(
        tuple(dict.fromkeys(name for need in needs for name in need.queries)),
        tuple(dict.fromkeys(name for need in needs for name in need.candidates)),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of a call.

    Parameters
    ----------
    ids
        Their names.
    parts
        The items each is made of; empty where they are encoded already.
    modality
        Of all of them.
    given
        Those that are encoded already; None where they are not.
    """

    ids: tuple[str, ...]
    parts: tuple[tuple[Item, ...], ...]
    modality: str
    given: Collection | None = None

    @classmethod
    def of(cls, queries: Sequence[QueryLike] | Collection, encoder: Encoder) -> Asked:
        """Read the queries; one without an id is called by its place.

        Raises
        ------
        InputError
            For what is no list of queries.
        """
        if isinstance(queries, Collection):
            return cls(queries.ids, (), queries.modality, queries)
        given = listed("rerank", "queries", queries)
        parts = tuple(query_parts(query, encoder) for query in given)
        ids = tuple(
            next((part.id for part in own if part.id is not None), str(place))
            for place, own in enumerate(parts)
        )
        modality = "+".join(_kinds(part for own in parts for part in own)) or "text"
        return cls(ids, parts, modality)

    def known(self) -> Collection:
        """Return what is known of them before they are encoded."""
        if self.given is not None:
            return self.given
        return _bare(self.ids, self.modality, [own[0] for own in self.parts])

    def encoded(
        self, encoder: KeptEncoder, features: Sequence[str], progress: Progress | bool | None
    ) -> Collection:
        """Return the queries with some features."""
        if self.given is not None:
            return self.given
        return encode_queries(encoder, self.ids, self.parts, features, progress)


@dataclass(frozen=True, slots=True)
class Loose:
    """Candidates that are not encoded yet, all of one kind."""

    items: Sequence[Item]
    modality: str

    @classmethod
    def of(cls, items: Sequence[Item], encoder: Encoder) -> Loose:
        """Look of which kind they are.

        Raises
        ------
        InputError
            If they are not of one kind, or of one that the encoder does not know.
        """
        return cls(items, _one_kind(items, encoder))

    def known(self) -> Collection:
        """Return what is known of them before they are encoded."""
        return _bare([str(item.id) for item in self.items], self.modality, self.items)


def encode_items(
    encoder: KeptEncoder,
    lists: Lists,
    modality: str,
    features: Sequence[str],
    on_item: str,
    progress: Progress | bool | None,
) -> tuple[Collection, Lists]:
    """Encode candidates, and leave out pictures that cannot be read."""
    try:
        return encoder.encode(lists.items, modality, features, progress), lists
    except ImageError:
        if on_item == "raise":
            raise
    wrong = {}
    for row in encoder.to_encode(lists.items, modality, features):
        image = lists.items[row].image
        if image is not None:
            try:
                open_image(image)
            except ImageError as error:
                wrong[row] = str(error)
    if not wrong:
        raise InputError(
            f"rerank: {encoder.name.partition(':')[0]!r} refused a picture that can be opened; try "
            "on_item='raise' to see why"
        )
    rest = lists.without(wrong)
    if not rest.items:
        return Collection([], modality), rest
    return encoder.encode(rest.items, modality, features, progress), rest


def encode_queries(
    encoder: KeptEncoder,
    query_ids: Sequence[str],
    asked: Sequence[tuple[Item, ...]],
    features: Sequence[str],
    progress: Progress | bool | None,
) -> Collection:
    """Encode queries, kind by kind, and put together those of several parts."""
    parts = [part for own in asked for part in own]
    if len(parts) == len(asked) and len({part.modality or "image" for part in parts}) == 1:
        modality = parts[0].modality or "image"
        return encoder.encode(parts, modality, features, progress, query_ids)
    numbered = [Item(str(n), p.text, p.image, **p.features) for n, p in enumerate(parts)]
    where: dict[int, tuple[Collection, int]] = {}
    for modality in ("image", "image+text", "text"):
        rows = [n for n, part in enumerate(parts) if (part.modality or "image") == modality]
        if rows:
            own = [numbered[n] for n in rows]
            made = encoder.encode(own, modality, features, progress)
            where.update((n, (made, place)) for place, n in enumerate(rows))
    ends = np.cumsum([len(own) for own in asked])
    owners = [range(end - len(own), end) for end, own in zip(ends, asked, strict=True)]
    return compose([where[n] for n in range(len(parts))], owners, query_ids)


def _kinds(items: Iterable[Item]) -> list[str]:
    found = {item.modality or "image" for item in items}
    return sorted({kind for each in found for kind in each.split("+")})


def _one_kind(items: Sequence[Item], encoder: Encoder) -> str:
    found = {item.modality or "image" for item in items}
    if len(found) > 1:
        raise InputError(
            f"rerank: the candidates mix {', '.join(sorted(found))}; give candidates of one "
            "kind, or on_item='keep' or 'drop' for the others"
        )
    (kind,) = found
    if kind == "image+text" and not encoder.info.features.get(kind):
        raise InputError(
            f"rerank: candidates with both text and image are ambiguous for the encoder "
            f"{encoder.info.name!r}, which knows one of them at a time; give one of them, or an "
            "encoder that knows both, such as 'composed' or 'vista'"
        )
    return kind


def _bare(ids: Sequence[str], modality: str, items: Sequence[Item]) -> Collection:
    """Make a collection of what is known before encoding, to ask the stages what they need."""
    shared = set(items[0].features) if items else set()
    for item in items if shared else ():
        shared &= item.features.keys()
    features: dict[str, Any] = {
        name: gathered([item.features[name] for item in items]) for name in shared
    }
    if items and all(item.text is not None for item in items):
        features["text"] = tuple(item.text for item in items)
    return Collection(ids, modality, **features)
