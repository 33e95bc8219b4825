from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import crossrank as cr
from crossrank.report import scale
from crossrank_demo.scenes import Query
from crossrank_demo.story import SHOWN, Chapter, shown, tell, words_of

QUERY = Query("q", "red ball", frozenset({"ball"}), frozenset())
WORDS = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)


def gallery(patches: NDArray[np.float32]) -> cr.Collection:
    """Return pictures of two patches side by side, each a vector of two numbers."""
    boxes = np.array([[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]], np.float32)
    return cr.Collection(
        [f"p/{row}" for row in range(len(patches))],
        "image",
        tokens=cr.Ragged.from_list(list(patches)),
        token_boxes=cr.Ragged.from_list([boxes] * len(patches)),
    )


def chapter(patches: NDArray[np.float32], base: list[float], relevant: set[str]) -> Chapter:
    """Rerank by the mean over both words of the better patch, which replaces the base score."""
    queries = cr.Collection(["q"], "text", tokens=cr.Ragged.from_list([WORDS]))
    pictures = gallery(patches)
    best = patches.max(axis=1)

    class Best(cr.Reranker):
        info = cr.RerankerInfo(name="best", summary="the better patch of each word")

        def score(self, block: cr.Block, state: object) -> cr.Scores:
            return cr.Scores(best.mean(axis=1)[block.candidate_rows][block.index])

    candidates = cr.Candidates.from_run({"q": dict(zip(pictures.ids, base, strict=True))})
    ranking = cr.Pipeline(cr.Stage(Best, fusion=cr.Replace())).rerank(candidates, queries, pictures)
    evidence = [
        cr.Evidence(
            "q",
            id,
            float(best[row].mean()),
            (cr.Link("red", "0", float(best[row, 0])), cr.Link("ball", "1", float(best[row, 1]))),
        )
        for row, id in enumerate(pictures.ids)
    ]
    told = tell(QUERY, ranking["q"], dict.fromkeys(relevant, 1), evidence, queries, pictures)
    expected = [(hit.id, hit.rank, hit.score, hit.base_score) for hit in ranking["q"]][:SHOWN]
    last = told.story.last
    assert [(card.id, card.rank, card.score, card.base_score) for card in last] == expected
    return told


PATCHES = np.array(
    [
        [[0.9, 0.1], [0.2, 0.3]],  # red, no ball
        [[0.5, 0.2], [0.1, 0.8]],  # some red, and a ball
        [[0.1, 0.4], [0.0, 0.2]],
    ],
    np.float32,
)


def test_both_orders_and_the_moves_between_them() -> None:
    told = chapter(PATCHES, [0.9, 0.8, 0.7], {"p/1"})
    assert [card.id for card in told.story.first] == ["p/0", "p/1", "p/2"]
    assert [card.id for card in told.story.last] == ["p/1", "p/0", "p/2"]
    assert [card.moved for card in told.story.last] == [1, -1, 0]
    assert [card.relevant for card in told.story.cards] == [True, False, False]
    assert (told.story.before, told.story.after, told.story.change) == (2, 1, "better")


def test_worse_same_and_nowhere_to_be_found() -> None:
    assert chapter(PATCHES, [0.9, 0.8, 0.7], {"p/0"}).story.change == "worse"
    assert chapter(PATCHES, [0.9, 0.8, 0.7], {"p/2"}).story.change == "same"
    lost = chapter(PATCHES, [0.9, 0.8, 0.7], {"p/elsewhere"})
    assert (lost.story.before, lost.story.after, lost.story.change) == (None, None, "same")
    found = replace(lost.story, after=3)
    assert found.change == "better"


def rivals(told: Chapter) -> list[str]:
    return [rival.id for card in told.story.last if (rival := told.rival(card)) is not None]


def test_the_word_is_the_one_that_lifts_the_winner_over_its_rival() -> None:
    taken = chapter(PATCHES, [0.9, 0.8, 0.7], {"p/1"})
    assert words_of(taken.story.last[0])[taken.word].text == "ball"
    kept = chapter(PATCHES, [0.8, 0.9, 0.7], {"p/1"})
    assert kept.story.first[0].id == kept.story.last[0].id
    assert words_of(kept.story.last[0])[kept.word].text == "ball"
    assert rivals(kept) == ["p/0", "p/1", "p/1"]
    assert rivals(taken) == ["p/0", "p/1", "p/0"]
    alone = chapter(PATCHES[:1], [0.8], {"p/0"})
    assert alone.rival(alone.story.last[0]) is None
    assert words_of(alone.story.last[0])[alone.word].text == "red"


def test_one_scale_for_all_words_and_pictures_shown() -> None:
    told = chapter(PATCHES, [0.9, 0.8, 0.7], {"p/1"})
    assert scale(told.story) == pytest.approx((0.0, 0.9))
    assert words_of(told.story.cards[0])[0].extent == (0, 0, 1, 1)


def test_only_the_first_places_are_shown_and_each_candidate_once() -> None:
    rng = np.random.default_rng(0)
    patches = rng.random((2 * SHOWN, 2, 2)).astype(np.float32)
    told = chapter(patches, list(rng.random(2 * SHOWN)), {"p/3"})
    assert len(told.story.first) == len(told.story.last) == SHOWN
    ids = [card.id for card in told.story.cards]
    assert len(ids) == len(set(ids))
    assert set(ids) == {card.id for card in (*told.story.first, *told.story.last)}
    assert [card.rank for card in told.story.cards] == sorted(
        card.rank for card in told.story.cards
    )


def test_shown_of_a_short_list() -> None:
    rankings = cr.Pipeline(cr.Stage(_Zero, fusion=cr.Replace())).rerank(
        cr.Candidates.from_run({"q": {"p/0": 1.0}}),
        cr.Collection(["q"], "text"),
        cr.Collection(["p/0"], "image"),
    )
    before, after = shown(rankings["q"])
    assert [hit.id for hit in before] == [hit.id for hit in after] == ["p/0"]


class _Zero(cr.Reranker):
    info = cr.RerankerInfo(name="zero", summary="nothing")

    def score(self, block: cr.Block, state: object) -> cr.Scores:
        return cr.Scores(np.zeros(block.index.shape, np.float32))
