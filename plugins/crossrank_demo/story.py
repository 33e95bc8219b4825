"""What happened to each query, put together for the page: who moved, and which words moved them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import crossrank as cr
from crossrank.plugin.parts import own_tokens
from crossrank.report import Card, Said, Story, Word, nested, word_maps
from crossrank_demo.scenes import Query

SHOWN = 6
"""How many places of each list the page shows."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One query, before and after.

    Parameters
    ----------
    query
        The query.
    relevant
        How many crops are relevant to it.
    story
        Its candidates, with what each word finds in them.
    """

    query: Query
    relevant: int
    story: Story

    def rival(self, card: Card) -> Card | None:
        """Return whom a candidate is held against.

        That is who was first before; for this one, who is first now; and if that is the same, who
        is second now.  None in a list of one.
        """
        for other in (self.story.first[0], *self.story.last[:2]):
            if other.id != card.id:
                return other
        return None

    @property
    def word(self) -> int:
        """The word whose best patch lifts the first picture most over its rival."""
        winner = self.story.last[0]
        rival = self.rival(winner)
        own = words_of(winner)
        others = [0.0] * len(own) if rival is None else [word.weight for word in words_of(rival)]
        gaps = [word.weight - other for word, other in zip(own, others, strict=True)]
        return gaps.index(max(gaps))


def words_of(card: Card) -> tuple[Word, ...]:
    """Return what each word of the query finds in a candidate, by the one stage there is."""
    return card.said[-1].words


def shown(ranking: cr.Ranking) -> tuple[tuple[cr.Hit, ...], tuple[cr.Hit, ...]]:
    """Return the first hits in base order and in the new order."""
    by_base = sorted(ranking, key=lambda hit: hit.base_rank)
    return tuple(by_base[:SHOWN]), tuple(ranking[:SHOWN])


def tell(
    query: Query,
    ranking: cr.Ranking,
    relevant: Mapping[str, int],
    evidence: Sequence[cr.Evidence],
    queries: cr.Collection,
    gallery: cr.Collection,
) -> Chapter:
    """Put together what the page says of one query, with a link per word in its evidence."""
    before, after = shown(ranking)
    asked = queries.row(query.id)
    vectors = queries["tokens"][asked][own_tokens(queries, asked)]
    by_id = {each.candidate_id: each for each in evidence}

    def words(id: str) -> tuple[Word, ...]:
        row = gallery.row(id)
        own = own_tokens(gallery, row)
        maps = word_maps(vectors, gallery["tokens"][row][own], gallery["token_boxes"][row][own])
        return tuple(
            Word(
                text=link.query,
                part=link.candidate,
                weight=link.weight,
                box=link.candidate_box,
                heat=nested(values),
                extent=maps.extent,
            )
            for link, values in zip(by_id[id].links, maps.values, strict=True)
        )

    def card(hit: cr.Hit) -> Card:
        traces = [(t.stage, t.score, t.normalised, t.weight, t.note) for t in hit.trace]
        said = [Said(*trace) for trace in traces[:-1]] + [Said(*traces[-1], words(hit.id))]
        return Card(
            id=hit.id,
            text="",
            picture=hit.id,
            base_rank=hit.base_rank,
            rank=hit.rank,
            base_score=hit.base_score,
            score=hit.score,
            relevant=hit.id in relevant,
            said=tuple(said),
        )

    cards = {hit.id: card(hit) for hit in {*before, *after}}
    story = Story(
        id=query.id,
        text=query.text,
        picture=None,
        before=min((hit.base_rank for hit in ranking if hit.id in relevant), default=None),
        after=min((hit.rank for hit in ranking if hit.id in relevant), default=None),
        first=tuple(cards[hit.id] for hit in before),
        last=tuple(cards[hit.id] for hit in after),
        cards=tuple(sorted(cards.values(), key=lambda card: card.rank)),
    )
    return Chapter(query, len(relevant), story)
