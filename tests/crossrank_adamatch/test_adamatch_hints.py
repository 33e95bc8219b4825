"""Keywords and key patches against naive counts; prompts; the second look."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import crossrank as cr
from crossrank.errors import InputError
from crossrank.report import draw_boxes, hints_of, prompt
from crossrank.testing import make_collection
from crossrank_adamatch import key_patches, keywords, second_look
from crossrank_adamatch.hints import names_something, overlaps
from toys.adamatch import pictures
from toys.rounding import assert_same_formula

WORDS = ("dog", "Dog", "the", "ball", "red", "grass")


@given(
    count=st.integers(1, 6), patches=st.integers(1, 7), k=st.integers(1, 4), seed=st.integers(0, 50)
)
@settings(max_examples=40, deadline=None)
def test_points_are_those_of_a_naive_count(count: int, patches: int, k: int, seed: int) -> None:
    table = np.random.default_rng(seed).normal(size=(count, patches))
    words = WORDS[:count]
    rows = [row for row in range(count) if words[row] != "the"]
    points: dict[str, int] = defaultdict(int)
    times: dict[str, int] = defaultdict(int)
    for patch in range(patches):
        ranked = sorted(rows, key=lambda row, at=patch: -table[row, at])  # type: ignore[misc]
        for rank, row in enumerate(ranked[:k]):
            points[words[row].lower()] += min(k, len(rows)) - rank
            times[words[row].lower()] += 1
    found = keywords(table, words, k)
    assert {words[each.part].lower(): each.points for each in found} == points
    assert {words[each.part].lower(): each.times for each in found} == times
    assert [each.points for each in found] == sorted(points.values(), reverse=True)
    for each in found:
        assert each.similarity == table[each.part, each.partner] == table[each.part].max()


def test_each_word_asks_for_patches_and_one_place_stands_once() -> None:
    table = np.array([[0.9, 0.8, 0.1], [0.7, 0.75, 0.2]])
    found = key_patches(table, k=2)
    assert [(each.part, each.points, each.times) for each in found] == [(0, 3, 2), (1, 3, 2)]
    boxes = np.array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.4], [0.5, 0.5, 1, 1]])
    (place,) = key_patches(table, boxes, k=2)
    assert (place.part, place.points, place.times, place.partner) == (0, 6, 4, 0)


def test_overlaps_are_intersections_over_unions() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.25, 0, 0.75, 0.5], [0.9, 0.9, 0.9, 1.0]])
    expected = np.array([[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 0]])
    assert_same_formula(overlaps(boxes, boxes), expected)


def test_function_words_and_punctuation_name_nothing() -> None:
    named = ["dog", "Dog</w>", "▁ball", "##ing", "3"]
    assert all(map(names_something, named))
    assert not any(map(names_something, ["the", "The", ".", ",", "", "of</w>"]))
    assert keywords(np.ones((2, 3)), ["the", "of"]) == []
    assert len(keywords(np.ones((1, 3)), ["the"], counts=lambda word: True)) == 1


@pytest.mark.parametrize(("shape", "k"), [((2, 0), 1), ((0, 2), 1), ((3,), 1), ((2, 2), 0)])
def test_what_cannot_be_ranked_is_refused(shape: tuple[int, ...], k: int) -> None:
    table = np.ones(shape)
    with pytest.raises(InputError, match="give"):
        key_patches(table, k=k)
    with pytest.raises(InputError, match="give"):
        keywords(np.ones((2, 2)), ["one"])
    with pytest.raises(InputError, match="give"):
        key_patches(np.ones((2, 2)), np.ones((3, 4)))


TEXTS, PICTURES = make_collection("text", 6), pictures(6)


@pytest.mark.parametrize("words_ask", [True, False])
def test_evidence_holds_them_whichever_side_asks(words_ask: bool) -> None:
    queries, gallery = (TEXTS, PICTURES) if words_ask else (PICTURES, TEXTS)
    pipeline = cr.Pipeline(cr.Stage("adamatch", params={"sizes": [1, 2], "k": 2}))
    (found,) = pipeline.explain(queries, gallery, queries.ids[2], gallery.ids[:3]).values()
    for piece in found:
        json.dumps(piece.to_dict(), allow_nan=False)
        assert piece.keywords and piece.key_patches
        for link in (*piece.keywords, *piece.key_patches):
            assert (link.query_box is None) == words_ask
            assert (link.candidate_box is None) != words_ask
            assert link.weight >= 1
    hints = hints_of(found)
    assert len(hints) == (3 if words_ask else 1)
    text = prompt(hints[0])
    assert hints[0].picture in text and hints[0].keywords[0].word in text
    if not words_ask:  # a word that several texts have stands once, with the points of all
        words = [hint.word for hint in hints[0].keywords]
        assert len(words) == len({word.casefold() for word in words})
        total = sum(link.weight for piece in found for link in piece.keywords)
        assert sum(hint.points for hint in hints[0].keywords) == total


def test_evidence_without_keywords_gives_no_hint() -> None:
    assert hints_of([cr.Evidence("q", "c", 0.0)]) == []


class Said(cr.Encoder):
    """Encodes a text as what the gallery holds of the text with this id."""

    info = cr.EncoderInfo(
        name="said", summary="", features={"text": ("embedding", "tokens", "token_text", "words")}
    )

    def encode_batch(self, items, modality, features):  # type: ignore[no-untyped-def]
        known = TEXTS.take([TEXTS.row(str(item.text)) for item in items])
        return {name: known[name] for name in features}


def test_a_second_look_finds_the_picture_of_a_generated_text() -> None:
    prompts: list[str] = []

    def generate(told: str) -> str:
        prompts.append(told)
        return TEXTS.ids[len(prompts)]

    chosen = PICTURES.ids[1:3]
    looks = second_look(PICTURES, TEXTS, chosen, generate, encoder=Said(), depth=6)
    assert [look.picture for look in looks] == list(chosen)
    assert [look.prompt for look in looks] == prompts
    assert [look.text for look in looks] == list(TEXTS.ids[1:3])
    assert all(look.rank is not None and 1 <= look.rank <= 6 for look in looks)
    with pytest.raises(InputError, match="must return a text"):
        second_look(PICTURES, TEXTS, chosen, lambda told: " ", encoder=Said(), depth=3)


def test_boxes_are_drawn_over_a_copy() -> None:
    image = Image.new("RGB", (60, 40))
    drawn = draw_boxes(image, [(0, 0, 1, 1), None, (0.2, 0.2, 0.6, 0.8)], ["a dog", "", "x"])
    assert drawn.size == (720, 480) and np.asarray(drawn).any()
    assert not np.asarray(image).any()
    corners = np.asarray(draw_boxes(image, [(0, 0, 1, 1)]))[[1, -2], [1, -2]]
    assert corners.any(axis=1).all()
