"""What `Context` and `Block` say of rows, sides and pairs, against loops over the lists."""

from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import OrientationError
from crossrank.plugin.pairs import runs

DIRECTIONS = ("t2i", "i2t")


def collection(modality: str, count: int) -> cr.Collection:
    return cr.Collection([f"{modality}{row}" for row in range(count)], modality)


@st.composite
def contexts(draw: st.DrawFn) -> cr.Context:
    """Lists of any length, in an order of their own, over more items than occur."""
    direction = draw(st.sampled_from(DIRECTIONS))
    kinds = ("text", "image") if direction == "t2i" else ("image", "text")
    queries, gallery = (collection(kind, draw(st.integers(1, 6))) for kind in kinds)
    asking = draw(st.lists(st.sampled_from(queries.ids), unique=True, min_size=1))
    lists = {
        query: draw(st.lists(st.sampled_from(gallery.ids), unique=True, max_size=5))
        for query in asking
    }
    candidates = cr.Candidates.from_lists(lists, candidate_ids=gallery.ids)
    return cr.Context(queries, gallery, candidates, direction)


def listed(context: cr.Context) -> dict[str, list[str]]:
    lists = context.lists
    return {
        query: [context.gallery.ids[row] for row in lists.index[at][lists.mask[at]]]
        for at, query in enumerate(lists.query_ids)
    }


@given(contexts())
def test_a_context_knows_which_rows_occur(context: cr.Context) -> None:
    lists = listed(context)
    assert [context.queries.ids[row] for row in context.query_rows] == list(lists)
    asked = {query for query, found in lists.items() if found}
    found = {candidate for each in lists.values() for candidate in each}
    assert set(context.asked.ids) == asked and set(context.listed.ids) == found
    texts, images = context.texts, context.images
    assert (texts.collection.modality, images.collection.modality) == ("text", "image")
    assert texts.ids == (context.asked if context.direction == "t2i" else context.listed).ids
    for side in (texts, images):
        assert len(side) == len(side.rows) and np.all(np.diff(side.rows) > 0)
        assert side.places.shape == (len(side.collection),)
        assert side.places[side.rows].tolist() == list(range(len(side)))


def block_of(context: cr.Context) -> cr.Block:
    """A block as the engine makes one: distinct candidates, places counted in them."""
    lists = context.lists
    used = np.unique(lists.index[lists.mask])
    index = np.where(lists.mask, np.searchsorted(used, lists.index), 0)
    rows = context.query_rows
    return cr.Block(
        context.queries.take(rows),
        context.gallery.take(used),
        index,
        lists.mask,
        None,
        context.direction,
        rows,
        used,
    )


@given(contexts())
def test_the_pairs_of_a_block_in_order_of_its_mask(context: cr.Context) -> None:
    block, pairs = block_of(context), block_of(context).pairs()
    expected = [(query, found) for query, each in listed(context).items() for found in each]
    assert len(pairs) == len(expected)
    assert [
        (block.queries.ids[query], block.candidates.ids[candidate])
        for query, candidate in zip(pairs.queries, pairs.candidates, strict=True)
    ] == expected
    assert [
        (context.queries.ids[query], context.gallery.ids[candidate])
        for query, candidate in zip(pairs.query_rows, pairs.candidate_rows, strict=True)
    ] == expected
    turned = [each if context.direction == "t2i" else each[::-1] for each in expected]
    assert [
        (block.texts.ids[text], block.images.ids[image])
        for text, image in zip(pairs.texts, pairs.images, strict=True)
    ] == turned
    assert [
        (context.texts.collection.ids[text], context.images.collection.ids[image])
        for text, image in zip(pairs.text_rows, pairs.image_rows, strict=True)
    ] == turned


@given(contexts(), st.randoms())
def test_scores_of_pairs_go_where_the_pairs_are(context: cr.Context, random: object) -> None:
    pairs = block_of(context).pairs()
    values = np.arange(len(pairs), dtype=np.float64) + 1
    scores = cr.Scores.of_pairs(pairs, values)
    assert scores.values.dtype == np.float32 and scores.abstained is None
    mask = context.lists.mask
    assert scores.values[mask].tolist() == values.tolist() and not scores.values[~mask].any()

    known: NDArray[np.bool_] = np.arange(len(pairs)) % 3 != 1
    of_all = cr.Scores.of_pairs(pairs, values, known, "no idea")
    of_known = cr.Scores.of_pairs(pairs, values[known], known, "no idea")
    assert np.array_equal(of_all.values, of_known.values)
    assert of_all.values[mask].tolist() == np.where(known, values, 0).tolist()
    if known.all():
        assert of_all.abstained is None
    else:
        assert of_all.abstained is not None and of_all.reason == "no idea"
        assert of_all.abstained[mask].tolist() == (~known).tolist()
        assert not of_all.abstained[~mask].any()


@given(contexts())
def test_groups_hold_every_pair_once_by_its_item(context: cr.Context) -> None:
    pairs = block_of(context).pairs()
    groups = pairs.groups(pairs.candidates)
    assert sorted(pair for group in groups for pair in group) == list(range(len(pairs)))
    items = [set(pairs.candidates[group].tolist()) for group in groups]
    assert [len(each) for each in items] == [1] * len(items)
    assert [each.pop() for each in items] == sorted(set(pairs.candidates.tolist()))
    assert all(np.all(np.diff(group) > 0) for group in groups)


@pytest.mark.parametrize("direction", ["t2t", "it2i", "i2i", "t2it"])
def test_other_directions_have_no_side_of_texts(direction: str) -> None:
    queries, gallery = collection("text", 1), collection("image", 1)
    lists = cr.Candidates.from_lists({"text0": ["image0"]}, candidate_ids=gallery.ids)
    context = cr.Context(queries, gallery, lists, direction)
    assert context.asked.ids == ("text0",) and context.listed.ids == ("image0",)
    with pytest.raises(OrientationError, match=f"direction '{direction}'.*info.directions"):
        _ = context.texts


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 20))
def test_runs_hold_neighbours_up_to_a_sum(lengths: list[int], most: int) -> None:
    found = list(runs(np.array(lengths, np.int64), most))
    assert [row for part in found for row in range(part.start, part.stop)] == [*range(len(lengths))]
    for part, after in zip_longest(found, found[1:]):
        total = sum(lengths[part])
        assert total <= most or part.stop - part.start == 1
        if after is not None:  # nothing more would have gone in
            assert total + lengths[after.start] > most


def test_needs_by_modality_stand_on_the_side_that_has_them() -> None:
    t2i = cr.Needs.by_modality("t2i", ("text",), ("path", "boxes"), ("boxes",))
    i2t = cr.Needs.by_modality("i2t", ("text",), ("path", "boxes"), ("boxes",))
    assert t2i == cr.Needs(("text",), ("path", "boxes"), ("boxes",))
    assert i2t == cr.Needs(("path", "boxes"), ("text",), ("boxes",))
    with pytest.raises(OrientationError):
        cr.Needs.by_modality("it2i", ("text",), ("path",))
