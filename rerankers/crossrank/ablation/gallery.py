"""The queries that a pipeline helped or harmed most, put together for the report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.ablation.config import Study
from crossrank.ablation.data import Task
from crossrank.ablation.run import Outcome, Run
from crossrank.ablation.walk import Position, follow
from crossrank.candidates import Candidates
from crossrank.checks import align
from crossrank.collection import Collection
from crossrank.contract import Reranker
from crossrank.errors import CrossrankError
from crossrank.evidence import Evidence
from crossrank.scoring import explain_pairs
from crossrank.stage import Stage

SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".webp")
MOST_LINKS = 24
"""The strongest are shown, in their order."""

Box = tuple[float, float, float, float]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Word:
    """One part of the text of a pair, and where it is seen in the picture.

    Parameters
    ----------
    text, part
        What it says, and what it is linked to.
    weight
        In the scorer's own units.
    box
        Where, in [0, 1] of the picture; None where that is not known.
    heat
        ``[rows][columns]`` over the part `extent` of the picture; empty where there is none.
    extent
        See `heat`.
    """

    text: str
    part: str
    weight: float
    box: Box | None = None
    heat: tuple[tuple[float, ...], ...] = ()
    extent: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What one stage said of a candidate.

    Parameters
    ----------
    stage
        Its name.
    score, normalised, weight
        As in `crossrank.Trace`; None where it gave none.
    note
        Why.
    words
        Its evidence.
    """

    stage: str
    score: float | None
    normalised: float | None
    weight: float
    note: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """One candidate of a query.

    Parameters
    ----------
    id, text, picture
        What it is; `picture` is its file, where there is one.
    base_rank, rank, base_score, score
        Before and after.
    relevant
        Whether it is what the query asks for.
    said
        By stage.
    """

    id: str
    text: str
    picture: Path | None
    base_rank: int
    rank: int
    base_score: float
    score: float
    relevant: bool
    said: tuple[Said, ...]

    @property
    def moved(self) -> int:
        """Places won (positive) or lost (negative)."""
        return self.base_rank - self.rank


@dataclass(frozen=True, slots=True)
class Story:
    """One query before and after.

    Parameters
    ----------
    id, text, picture
        The query.
    before, after
        The rank of the first relevant item; None where the list holds none.
    first, last
        The first candidates in base order and in the new one.
    cards
        All of these and the first relevant one, by new rank.
    """

    id: str
    text: str
    picture: Path | None
    before: int | None
    after: int | None
    first: tuple[Card, ...]
    last: tuple[Card, ...]
    cards: tuple[Card, ...]

    @property
    def change(self) -> str:
        """``"better"`` or ``"worse"``."""
        worst = 1 << 30
        before = worst if self.before is None else self.before
        after = worst if self.after is None else self.after
        return "better" if after < before else "worse"


@dataclass(frozen=True, slots=True)
class Gallery:
    """The stories of one pipeline in one direction.

    Parameters
    ----------
    direction, cell
        What it is about.
    depth
        The length of the lists.
    improved, harmed
        Most improved first, most harmed first.
    """

    direction: str
    cell: str
    depth: int
    improved: tuple[Story, ...]
    harmed: tuple[Story, ...]

    @property
    def stories(self) -> tuple[Story, ...]:
        """All of them."""
        return (*self.improved, *self.harmed)


def gallery_of(run: Run, base: Outcome, outcome: Outcome, name: str, plan: Study) -> Gallery:
    """Tell of the queries in which a pipeline differs most from the base.

    Parameters
    ----------
    run
        The task and its raw scores.
    base, outcome
        Before and after.
    name
        What the pipeline is called.
    plan
        How many queries and candidates, and where pictures lie.
    """
    task = run.task
    assert base.measured is not None and outcome.measured is not None
    before, after = base.measured.first_ranks, outcome.measured.first_ranks
    gain = np.reciprocal(after) - np.reciprocal(before)
    order = np.argsort(-gain, kind="stable")
    listed = order[task.places[order] >= 0]
    best = [int(row) for row in listed[: plan.queries] if gain[row] > 0]
    worst = [int(row) for row in listed[::-1][: plan.queries] if gain[row] < 0]
    position = follow(outcome.stages, task, run.scorings)
    teller = _Teller(run, position, plan, [*best, *worst])
    return Gallery(
        task.direction,
        name,
        task.candidates.depth,
        tuple(teller.story(row, before[row], after[row]) for row in best),
        tuple(teller.story(row, before[row], after[row]) for row in worst),
    )


class _Teller:
    """Tells stories about some queries of one task."""

    def __init__(self, run: Run, position: Position, plan: Study, rows: Sequence[int]) -> None:
        self.task, self.position, self.plan = run.task, position, plan
        self.run = run
        self.chosen = {row: self._places(int(run.task.places[row])) for row in rows}
        self.evidence = [self._explained(stage) for stage in position.stages]

    def story(self, row: int, before: float, after: float) -> Story:
        """Tell of one query."""
        task, place = self.task, int(self.task.places[row])
        id = task.query_ids[row]
        cards = {spot: self._card(place, spot) for spot in self.chosen[row]}
        shown = self.plan.shown
        by_rank = sorted(cards.values(), key=lambda card: card.rank)
        by_base = sorted(cards.values(), key=lambda card: card.base_rank)
        return Story(
            id,
            _text(task.queries, id),
            self._picture(task.queries, id),
            None if np.isinf(before) else int(before),
            None if np.isinf(after) else int(after),
            tuple(card for card in by_base if card.base_rank <= shown),
            tuple(card for card in by_rank if card.rank <= shown),
            tuple(by_rank),
        )

    def _places(self, place: int) -> list[int]:
        """Return the places of a list that are shown: first before, first after, first relevant."""
        task, shown = self.task, self.plan.shown
        mask = task.candidates.mask[place]
        base, new = task.base_ranks[place], self.position.ranks[place]
        wanted = mask & ((base <= shown) | (new <= shown))
        relevant = np.flatnonzero(mask & task.relevant[place])
        if len(relevant):
            wanted[relevant[np.argmin(new[relevant])]] = True
        return [int(spot) for spot in np.flatnonzero(wanted)]

    def _card(self, place: int, spot: int) -> Card:
        task, candidates = self.task, self.task.candidates
        id = candidates.candidate_ids[candidates.index[place, spot]]
        query = candidates.query_ids[place]
        said = []
        for stage, trace, evidence in zip(
            self.position.stages, self.position.traces, self.evidence, strict=True
        ):
            raw = float(trace.raw[place, spot])
            if np.isnan(raw):
                seen = bool(trace.seen[place, spot])
                note = (trace.reasons[place] or "abstained") if seen else "beyond its depth"
                said.append(Said(stage.name, None, None, trace.weight, note))
                continue
            found = evidence.get((query, id))
            words = () if found is None else self._words(stage, query, id, found)
            normalised = float(trace.normalised[place, spot])
            said.append(Said(stage.name, raw, normalised, trace.weight, "", words))
        return Card(
            id,
            _text(task.gallery, id),
            self._picture(task.gallery, id),
            int(task.base_ranks[place, spot]),
            int(self.position.ranks[place, spot]),
            float(task.base_scores[place, spot]),
            float(self.position.scores[place, spot]),
            bool(task.relevant[place, spot]),
            tuple(said),
        )

    def _explained(self, stage: Stage) -> Mapping[tuple[str, str], Evidence]:
        """Ask a stage for its evidence on all pairs that are shown, at once."""
        silent = type(stage.scorer).explain is Reranker.explain
        if silent or stage.scorer.info.transductive or not self.chosen:
            return {}
        candidates = self.task.candidates
        lists = {}
        for row, spots in self.chosen.items():
            place = int(self.task.places[row])
            ids = [candidates.candidate_ids[candidates.index[place, spot]] for spot in spots]
            lists[candidates.query_ids[place]] = ids
        part, query_rows, _ = align(
            Candidates.from_lists(lists, candidate_ids=self.task.gallery.ids),
            self.task.queries,
            self.task.gallery,
        )
        context = replace(self.run.scorings.context, candidates=part)
        try:
            found = explain_pairs(stage, context, query_rows)
        except CrossrankError as error:
            log.warning("the report shows no evidence of %s: %s", stage.name, error)
            return {}
        return {(each.query_id, each.candidate_id): each for each in found}

    def _words(self, stage: Stage, query: str, candidate: str, found: Evidence) -> tuple[Word, ...]:
        """Return the parts of the text, whichever side it is on."""
        asked_in_words = self.task.queries.modality != "image"
        maps = dict(found.maps)
        heats, extent = _heat(stage, self.task, query, candidate)
        words = []
        for number, link in enumerate(found.links):
            text, part = (
                (link.query, link.candidate) if asked_in_words else (link.candidate, link.query)
            )
            box = link.candidate_box if asked_in_words else link.query_box
            heat = maps.get(text, ())
            extent_here: Box = (0.0, 0.0, 1.0, 1.0)
            if not heat and len(heats) == len(found.links):
                heat, extent_here = heats[number], extent
            weight = float(link.weight)
            if np.isfinite(weight):
                words.append(Word(text, part, weight, box, heat, extent_here))
        strongest = sorted(range(len(words)), key=lambda number: -words[number].weight)
        return tuple(words[number] for number in sorted(strongest[:MOST_LINKS]))

    def _picture(self, collection: Collection, id: str) -> Path | None:
        if collection.modality == "text":
            return None
        if "path" in collection:
            path = Path(str(collection["path"][collection.row(id)]))
            if path.is_file():
                return path
        if self.plan.pictures is not None:
            for suffix in SUFFIXES:
                path = self.plan.pictures / f"{id}{suffix}"
                if path.is_file():
                    return path
        return None


def _heat(
    stage: Stage, task: Task, query: str, candidate: str
) -> tuple[list[tuple[tuple[float, ...], ...]], Box]:
    """Return a heat map per token of the text, where the stage compares tokens with patches."""
    whole: Box = (0.0, 0.0, 1.0, 1.0)
    info = stage.scorer.info
    if "tokens" not in info.query_features or "tokens" not in info.candidate_features:
        return [], whole
    from crossrank.demo.heatmap import word_maps

    sides: list[tuple[Collection, int]] = [
        (task.queries, task.queries.row(query)),
        (task.gallery, task.gallery.row(candidate)),
    ]
    if task.queries.modality == "image":
        sides.reverse()
    (texts, text), (pictures, picture) = sides
    if "token_boxes" not in pictures or "tokens" not in texts or "tokens" not in pictures:
        return [], whole
    words, patches = texts["tokens"][text], pictures["tokens"][picture]
    boxes = pictures["token_boxes"][picture]
    if len(boxes) != len(patches) or words.shape[1] != patches.shape[1]:
        return [], whole
    maps = word_maps(words, patches, boxes)
    return [_nested(values) for values in maps.values], maps.extent


def _nested(values: NDArray[Any]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in values)


def _text(collection: Collection, id: str) -> str:
    row = collection.row(id)
    if "text" in collection:
        return str(collection["text"][row])
    if collection.modality == "text" and "token_text" in collection:
        return " ".join(map(str, collection["token_text"][row]))
    return ""
