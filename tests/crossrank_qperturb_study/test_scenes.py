"""The scenes of the study: exact boxes, true captions, splits that share no pair."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_blip2_scenes as scenes
from tiny_blip2_scenes import KINDS, Thing


def corners(thing: Thing) -> tuple[float, float]:
    return (thing.box[0] + thing.box[2]) / 2, (thing.box[1] + thing.box[3]) / 2


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_things_lie_inside_and_apart(seed: int) -> None:
    scene = scenes.draw(np.random.default_rng(seed))
    assert scene.picture.shape == (scenes.SIZE, scenes.SIZE, 3)
    taken = np.zeros((scenes.SIZE, scenes.SIZE), int)
    for thing in scene.things:
        left, top, right, bottom = thing.box
        assert 0 <= left < right <= scenes.SIZE and 0 <= top < bottom <= scenes.SIZE
        taken[top:bottom, left:right] += 1
    assert taken.max() == 1
    assert len({thing.kind for thing in scene.things}) == len(scene.things)
    assert scene.things[0].area > 2 * max(thing.area for thing in scene.things[1:])


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_fact_says_what_the_centres_say(seed: int) -> None:
    scene = scenes.draw(np.random.default_rng(seed))
    facts = scene.facts()
    for (first, how, second), (a, b) in facts.items():
        assert (first, second) == (a.kind, b.kind)
        (x0, y0), (x1, y1) = corners(a), corners(b)
        across, along = (x1 - x0, y1 - y0) if how == "left of" else (y1 - y0, x1 - x0)
        assert across > 0 and across >= 2 * abs(along)
    told = {frozenset((a, b)) for a, _, b in facts}
    for a, b in combinations(scene.things, 2):
        (x0, y0), (x1, y1) = corners(a), corners(b)
        low, high = sorted((abs(x1 - x0), abs(y1 - y0)))
        assert (frozenset((a.kind, b.kind)) in told) == (high >= 2 * low)


@pytest.mark.parametrize("shape", scenes.SHAPES)
@pytest.mark.parametrize("side", scenes.SMALL + scenes.LARGE)
def test_a_shape_touches_all_edges_of_its_box(shape: str, side: int) -> None:
    cover = scenes.coverage(shape, side)
    assert cover.shape == (side, side)
    assert cover.min() >= 0 and 0.7 < cover.max() <= 1
    for edge in (cover[0], cover[-1], cover[:, 0], cover[:, -1]):
        assert edge.max() > 0


def test_a_thing_is_drawn_in_its_box_and_colour() -> None:
    scene = scenes.draw(np.random.default_rng(3))
    colours = np.array(list(scenes.COLOURS.values()))
    for thing in scene.things:
        x, y = (int(value) for value in corners(thing))
        wanted = colours[thing.kind // len(scenes.SHAPES)].clip(0, 255)
        assert np.abs(scene.picture[y, x] - wanted).max() < 45


def test_a_caption_says_the_same_from_either_side() -> None:
    fact = (KINDS.index("red circle"), "above", KINDS.index("orange cross"))
    assert scenes.caption(fact) == "a red circle above an orange cross"
    assert scenes.caption(fact, turned=True) == "an orange cross below a red circle"
    fact = (fact[0], "left of", fact[2])
    assert scenes.caption(fact, turned=True) == "an orange cross right of a red circle"


def test_splits_share_no_pair_and_together_have_all() -> None:
    parts = [scenes.allowed(split) for split in scenes.SHARES]
    assert sum(map(len, parts)) == len(frozenset.union(*parts)) == len(scenes.PAIRS)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_caption_holds_for_one_picture_of_its_gallery(split: str) -> None:
    chosen = scenes.gallery(split, 60, seed=5)
    for row, (scene, fact) in enumerate(chosen):
        assert scenes.pair(fact) in scenes.allowed(split)
        assert scene.things[0] not in scene.facts()[fact]
        holds = [number for number, (other, _) in enumerate(chosen) if fact in other.facts()]
        assert holds == [row]


def test_a_gallery_is_drawn_from_its_seed() -> None:
    one, same, other = (scenes.gallery("test", 5, seed) for seed in (1, 1, 2))
    for (a, _), (b, _) in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.picture, b.picture)
    assert [fact for _, fact in one] != [fact for _, fact in other]


def test_the_smallest_things_differ_much_in_area() -> None:
    chosen = scenes.gallery("test", 100, seed=0)
    areas = [min(thing.area for thing in scene.facts()[fact]) for scene, fact in chosen]
    assert max(areas) / min(areas) >= 9
