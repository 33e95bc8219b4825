"""What happened to each query, put together for the page: who moved, and which words moved them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossrank._items.collection import Collection
from crossrank._lists.evidence import Evidence
from crossrank._lists.hits import Hit
from crossrank._lists.rankings import Ranking
from crossrank_demo.heatmap import WordMaps, to_png, word_maps
from crossrank_demo.pictures import data_uri
from crossrank_demo.scenes import Box, Query

SHOWN = 6
"""How many places of each list the page shows."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query over one picture.

    Parameters
    ----------
    text
        The word.
    best
        Its similarity to the patch that fits it best.
    box
        Where that patch lies, if known.
    heat
        The heat map over all patches, as a ``data:`` address.
    """

    text: str
    best: float
    box: Box | None
    heat: str


@dataclass(frozen=True, slots=True)
class Card:
    """One candidate of one query.

    Parameters
    ----------
    hit
        Its places and scores before and after.
    relevant
        Whether it shows what the query asks for.
    words
        What each word finds in it.
    extent
        The part of the picture that the patches cover.
    """

    hit: Hit
    relevant: bool
    words: tuple[Word, ...]
    extent: Box

    @property
    def moved(self) -> int:
        """Places won (positive) or lost (negative)."""
        return self.hit.base_rank - self.hit.rank


@dataclass(frozen=True, slots=True)
class Chapter:
    """One query, before and after.

    Parameters
    ----------
    query
        The query.
    relevant
        How many crops are relevant to it.
    before, after
        The first `SHOWN` candidates in base order and in the new one.
    first_before, first_after
        The place of the first relevant candidate; None where the list holds none.
    low, high
        The range of the heat maps' one colour scale: the smallest and the largest similarity of
        any word and any patch of the pictures shown.
    """

    query: Query
    relevant: int
    before: tuple[Card, ...]
    after: tuple[Card, ...]
    first_before: int | None
    first_after: int | None
    low: float
    high: float

    @property
    def cards(self) -> tuple[Card, ...]:
        """Every candidate shown, once, by its new place."""
        distinct = {card.hit.id: card for card in (*self.after, *self.before)}
        return tuple(sorted(distinct.values(), key=lambda card: card.hit.rank))

    @property
    def change(self) -> str:
        """``"better"``, ``"worse"`` or ``"same"``, by the place of the first relevant picture."""
        worst = 1 << 30
        before = worst if self.first_before is None else self.first_before
        after = worst if self.first_after is None else self.first_after
        return "better" if after < before else "worse" if after > before else "same"

    def rival(self, card: Card) -> Card | None:
        """Return whom a candidate is held against.

        That is who was first before; for this one, who is first now; and if that is the same, who
        is second now.  None in a list of one.
        """
        for other in (self.before[0], *self.after[:2]):
            if other.hit.id != card.hit.id:
                return other
        return None

    @property
    def word(self) -> int:
        """The word whose best patch lifts the first picture most over its rival."""
        winner = self.after[0]
        rival = self.rival(winner)
        others = [0.0] * len(winner.words) if rival is None else [w.best for w in rival.words]
        gaps = [word.best - other for word, other in zip(winner.words, others, strict=True)]
        return gaps.index(max(gaps))


def shown(ranking: Ranking) -> tuple[tuple[Hit, ...], tuple[Hit, ...]]:
    """Return the first hits in base order and in the new order."""
    by_base = sorted(ranking, key=lambda hit: hit.base_rank)
    return tuple(by_base[:SHOWN]), tuple(ranking[:SHOWN])


def tell(
    query: Query,
    ranking: Ranking,
    relevant: Mapping[str, int],
    evidence: Sequence[Evidence],
    queries: Collection,
    gallery: Collection,
) -> Chapter:
    """Put together what the page says of one query.

    Parameters
    ----------
    query
        The query.
    ranking
        Its reranked list.
    relevant
        The crops that are relevant to it.
    evidence
        What the reranker says of every candidate in `shown`: one link per word.
    queries, gallery
        Collections with ``tokens``, and ``token_boxes`` of the gallery.
    """
    before, after = shown(ranking)
    words = queries["tokens"][queries.row(query.id)]
    maps: dict[str, WordMaps] = {}
    for each in evidence:
        row = gallery.row(each.candidate_id)
        maps[each.candidate_id] = word_maps(
            words, gallery["tokens"][row], gallery["token_boxes"][row]
        )
    values = np.concatenate([each.values.ravel() for each in maps.values()])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    found = {each.candidate_id: each for each in evidence}

    def card(hit: Hit) -> Card:
        own = maps[hit.id]
        return Card(
            hit=hit,
            relevant=hit.id in relevant,
            words=tuple(
                Word(
                    text=link.query,
                    best=link.weight,
                    box=link.candidate_box,
                    heat=data_uri(to_png(values, low, high), "image/png"),
                )
                for link, values in zip(found[hit.id].links, own.values, strict=True)
            ),
            extent=own.extent,
        )

    cards = {hit.id: card(hit) for hit in {*before, *after}}
    return Chapter(
        query=query,
        relevant=len(relevant),
        before=tuple(cards[hit.id] for hit in before),
        after=tuple(cards[hit.id] for hit in after),
        first_before=min((hit.base_rank for hit in ranking if hit.id in relevant), default=None),
        first_after=min((hit.rank for hit in ranking if hit.id in relevant), default=None),
        low=low,
        high=high,
    )
