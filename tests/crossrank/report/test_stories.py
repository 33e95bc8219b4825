from __future__ import annotations

import math
from dataclasses import replace

import pytest

from crossrank.report import Card, Said, Story, Word, overlays, scale

NAN = math.nan


def story(*words: Word, before: int | None = 1, after: int | None = 1) -> Story:
    said = Said("filip", 0.5, 0.1, 1.0, "", words)
    card = Card("a", "", "a", 2, 1, 0.3, 0.4, True, (said,))
    return Story("q", "a dog", None, before, after, (card,), (card,), (card,))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(2, 1, "better"), (1, 2, "worse"), (3, 3, "same"), (None, 5, "better"), (5, None, "worse")],
)
def test_the_change_follows_the_first_relevant_item(
    before: int | None, after: int | None, change: str
) -> None:
    assert story(before=before, after=after).change == change


def test_one_scale_for_all_words_leaves_out_what_is_nowhere() -> None:
    told = story(Word("a", "0", 0.1, None, ((0.2, NAN),)), Word("b", "1", 0.1, None, ((-0.4,),)))
    assert scale(told) == (-0.4, 0.2)


@pytest.mark.parametrize("words", [(), (Word("a", "0", 0.1, None, ((NAN,),)),)])
def test_a_story_without_heat_maps_has_a_scale(words: tuple[Word, ...]) -> None:
    assert scale(story(*words)) == (0.0, 1.0)


def test_overlays_lie_by_card_stage_and_word() -> None:
    word = Word("a", "0", 0.1, (0.123456, 0, 1, 1), ((0.0, 1.0),), (0, 0, 0.5, 1))
    told = story(word, replace(word, heat=()))
    (((first, second),),) = overlays(told)
    assert first["heat"].startswith("data:image/png;base64,")
    assert (first["box"], first["extent"]) == ([0.1235, 0, 1, 1], [0, 0, 0.5, 1])
    assert second == {"box": [0.1235, 0, 1, 1]}
