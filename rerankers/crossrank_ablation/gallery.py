"""The queries that a pipeline helped or harmed most, put together for the report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossrank._engine.checks import align
from crossrank._engine.scoring import explain_pairs
from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank._lists.evidence import Evidence
from crossrank._stage import Stage
from crossrank.errors import CrossrankError
from crossrank.plugin.contract import Reranker
from crossrank.report import Box, Card, Said, Story, Word, may_show
from crossrank_ablation.heat import heat_maps
from crossrank_ablation.plan import Study
from crossrank_ablation.run import Outcome, Run
from crossrank_ablation.stories import Gallery
from crossrank_ablation.walk import Position, follow

SUFFIXES = ("", ".jpg", ".jpeg", ".png", ".webp")
MOST_LINKS = 24
"""The strongest are shown, in their order."""

log = logging.getLogger(__name__)


def gallery_of(run: Run, base: Outcome, outcome: Outcome, name: str, plan: Study) -> Gallery:
    """Tell of the queries in which a pipeline, under some name, differs most from the base."""
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
        context = replace(self.run.scorings.context, lists=part)
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
        heats, extent = heat_maps(stage, self.task, query, candidate)
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

    def _picture(self, collection: Collection, id: str) -> str | None:
        if collection.modality == "text":
            return None
        folder = self.plan.pictures
        named = () if folder is None else (folder,)
        if "path" in collection:
            path = collection["path"][collection.row(id)]
            if Path(path).is_file() and may_show(path, *named):
                return str(path)
        if folder is not None:
            for suffix in SUFFIXES:
                file = folder / f"{id}{suffix}"
                # an id such as "../other" names no picture of the folder
                if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
                    return str(file)
        return None


def _text(collection: Collection, id: str) -> str:
    row = collection.row(id)
    if "text" in collection:
        return str(collection["text"][row])
    if collection.modality == "text" and "token_text" in collection:
        return " ".join(map(str, collection["token_text"][row]))
    return ""
