"""Parts of items, links between them, and the evidence of a block."""

import json

import numpy as np
import pytest

import crossrank as cr
from crossrank.plugin.parts import Part, evidence, link, parts_of

BOX = [0.0, 0.25, 0.5, 1.0]


def pictures() -> cr.Collection:
    return cr.Collection(
        ["p", "q"],
        "image",
        labels=[["dog", "ball"], ["cat"]],
        boxes=cr.Ragged.from_list([np.array([BOX, BOX], np.float32), np.array([BOX], np.float32)]),
        token_boxes=cr.Ragged.from_list([np.array([BOX] * 3, np.float32)] * 2),
    )


def test_parts_take_the_first_feature_that_speaks_of_as_many() -> None:
    x0, y0, x1, y1 = BOX
    box = (x0, y0, x1, y1)
    assert parts_of(pictures(), 0, 2) == (Part("dog", box), Part("ball", box))
    assert parts_of(pictures(), 0, 3) == tuple(Part(str(part), box) for part in range(3))
    assert parts_of(pictures(), 1, 5) == tuple(Part(str(part)) for part in range(5))
    assert parts_of(pictures(), 1, 1, names=("token_text",)) == (Part("0", box),)
    assert parts_of(pictures(), 1, 1, boxes=()) == (Part("cat"),)
    assert parts_of(cr.Collection(["t"], "text"), 0, 0) == ()


def test_a_link_turns_round_where_the_other_asks() -> None:
    word, region = Part("dog"), Part("3", (0.0, 0.0, 1.0, 1.0))
    asked = link(word, region, float(np.float32(0.5)))
    assert asked == cr.Link("dog", "3", 0.5, None, (0.0, 0.0, 1.0, 1.0))
    assert link(word, region, 0.5, asks=False) == cr.Link("3", "dog", 0.5, region.box, None)
    assert type(asked.weight) is float


@pytest.fixture
def block() -> cr.Block:
    queries = cr.Collection(["t0", "t1"], "text")
    return cr.Block(
        queries,
        pictures(),
        np.array([[1, 0], [0, 0]]),
        np.array([[True, True], [True, False]]),
        None,
        "t2i",
        np.array([4, 2]),
        np.array([7, 8]),
    )


def test_evidence_of_every_pair_in_order(block: cr.Block) -> None:
    values = np.array([[1.5, 2.5], [3.5, 0]], np.float32)
    abstained = np.array([[False, True], [False, False]])
    asked = []

    def links(pair: int) -> list[cr.Link]:
        asked.append(pair)
        return [cr.Link(str(pair), "x", 1.0)]

    found = evidence(block, cr.Scores(values, abstained, "why"), links)
    assert [(each.query_id, each.candidate_id, each.score) for each in found] == [
        ("t0", "q", 1.5),
        ("t0", "p", 2.5),
        ("t1", "p", 3.5),
    ]
    assert asked == [0, 2] and [len(each.links) for each in found] == [1, 0, 1]
    json.dumps([each.to_dict() for each in found])


def test_evidence_without_links_is_ids_and_scores(block: cr.Block) -> None:
    made = evidence(block, cr.Scores(np.array([[1.5, 2.5], [3.5, 0]], np.float32)))
    assert made == [
        cr.Evidence("t0", "q", 1.5, ()),
        cr.Evidence("t0", "p", 2.5, ()),
        cr.Evidence("t1", "p", 3.5, ()),
    ]
