"""Hits that are made at once are those that are made one by one."""

import numpy as np
import pytest

import crossrank as cr


@pytest.fixture(scope="module")
def rankings() -> cr.Rankings:
    """Return lists of unequal lengths, with depth, abstaining pairs and candidates left out."""
    return cr.rerank_many(
        ["a dog", "a cat on a mat", "snow"],
        [["one dog", "", "two cats", "three", "four"], ["", "a cat"], ["snow", "white", " "]],
        "filip",
        on_item="keep",
        base_scores=[[3.0, 1.0, 2.0, 5.0, 4.0], [1.0, 2.0], [0.5, 0.25, 0.0]],
    )


def test_all_at_once_are_one_by_one(rankings: cr.Rankings) -> None:
    for ranking in rankings.values():
        assert list(ranking) == [ranking[place] for place in range(len(ranking))]
        assert list(ranking[1:]) == list(ranking)[1:]


def test_they_are_plain_numbers_and_tell_why_there_is_none(rankings: cr.Rankings) -> None:
    hits = list(rankings.values()[0])
    for hit in hits:
        assert type(hit.score) is float and type(hit.index) is int and type(hit.base_rank) is int
    (last,) = [hit for hit in hits if hit.trace[0].score is None]
    assert last is hits[-1] and last.index == 1 and "empty" in last.trace[0].note
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]


def test_what_lies_beyond_the_depth_says_so() -> None:
    rng = np.random.default_rng(0)
    sides = [
        cr.Collection(
            [f"{kind}{n}" for n in range(4)],
            kind,
            normalise=True,
            tokens=cr.Ragged(rng.normal(size=(8, 3)), [2] * 4),
        )
        for kind in ("text", "image")
    ]
    candidates = cr.Candidates.from_similarity(
        rng.normal(size=(4, 4)), direction="t2i", text_ids=sides[0].ids, image_ids=sides[1].ids
    )
    ranking = cr.Pipeline(cr.Stage("filip", depth=2)).rerank(candidates, *sides).values()[0]
    notes = [hit.trace[0].note for hit in ranking]
    assert notes == ["", "", *["not seen: beyond the stage's depth"] * 2]
    assert [hit.trace[0].score is None for hit in ranking] == [False, False, True, True]
