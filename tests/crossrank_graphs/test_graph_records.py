from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank.errors import FormatError, InputError
from crossrank_graphs import Graph, Object, Relation, graph_of_names
from crossrank_graphs.matching import compare
from crossrank_graphs.precomputed import PrecomputedGraphs, cora_graph
from crossrank_graphs.tuples import graph_of_tuples, tuples_of

WORDS = st.sampled_from(["dog", "cat", "red", "big", "ball", "run after", "on"])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = draw(st.lists(st.tuples(WORDS, st.lists(WORDS, max_size=2, unique=True)), max_size=4))
    places = st.integers(0, max(0, len(names) - 1))
    edges = draw(st.lists(st.tuples(places, WORDS, places), max_size=3)) if names else []
    return graph_of_names("a text", names, edges)


@given(graphs())
def test_a_graph_survives_json(graph: Graph) -> None:
    assert Graph.from_dict(json.loads(json.dumps(graph.to_dict()))) == graph


@given(graphs())
def test_tuples_keep_the_facts(graph: Graph) -> None:
    assert graph_of_tuples(graph.text, tuples_of(graph)).facts() == graph.facts()


def test_a_cycle_and_two_objects_of_one_name_are_allowed() -> None:
    graph = graph_of_names("t", [("dog", ()), ("dog", ())], [(0, "chase", 1), (1, "chase", 0)])
    assert graph.facts() == {("dog",), ("dog", "chase", "dog")}


def test_a_dangling_relation_says_where_it_ends() -> None:
    with pytest.raises(InputError, match=r"'a text'.*'on' ends in object 3, but there are 1"):
        graph_of_names("a text", [("dog", ())], [(0, "on", 3)])
    with pytest.raises(InputError, match="'cat', which is not among the objects"):
        Graph("t", (Object(0, "dog"),), (Relation(Object(0, "dog"), "on", Object(1, "cat")),))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"text": "a dog", "objects": [{}]}, r"'a dog': the key 'name' is missing"),
        ({"text": "a dog"}, r"the key 'objects' is missing"),
        ({"text": "a dog", "objects": [{"name": "dog", "span": 3}]}, "has not the form"),
        ({"text": "x", "objects": [], "relations": [{"subject": 0}]}, "'predicate' is missing"),
    ],
)
def test_a_damaged_record_names_its_text(data: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Graph.from_dict(data)


def test_a_tuple_of_two_parts_is_refused() -> None:
    with pytest.raises(FormatError, match=r"'a dog'.*\( dog , red \) has not one or three"):
        graph_of_tuples("a dog", "( dog , red )")
    with pytest.raises(FormatError, match="no tuple in brackets"):
        graph_of_tuples("a dog", "dog")
    assert graph_of_tuples("", "") == Graph("")


CORA = {
    "caption": "a red ball on a table",
    "entities": [
        {"id": 7, "name": "ball", "attributes": ["red"]},
        {"id": 9, "name": "table", "attributes": []},
    ],
    "relations": [[7, 9, [], "on"], [9, 7, [], ""]],
}


def test_coras_form() -> None:
    graph = cora_graph("12", CORA)
    assert graph.facts() == {
        ("ball",),
        ("table",),
        ("ball", "red"),
        ("ball", "on", "table"),
        ("table", "and", "ball"),
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"caption": None, "entities": [{"id": 1}]}, r"caption '12' lacks the key 'name'"),
        ({"relations": [[7, 8, [], "on"]]}, r"relation 'on' to the entity 8, which is not there"),
        ({"relations": [[7]]}, "has not CORA's form"),
        ({"entities": [CORA["entities"][0]] * 2}, "two entities of one id"),
    ],
)
def test_coras_form_damaged(change: dict[str, Any], says: str) -> None:
    with pytest.raises(FormatError, match=says):
        cora_graph("12", {**CORA, **change})


def test_precomputed_graphs_are_looked_up_by_text(tmp_path: Path) -> None:
    path = tmp_path / "graphs.json"
    path.write_text(json.dumps({"12": CORA}))
    parser = PrecomputedGraphs.open(path)
    assert list(parser.graphs([str(CORA["caption"])])) == [cora_graph("12", CORA)]
    with pytest.raises(InputError, match="no graph of the text 'another'"):
        list(parser.graphs(["another"]))
    own = tmp_path / "own.json"
    own.write_text(json.dumps([cora_graph("12", CORA).to_dict()]))
    assert PrecomputedGraphs.open(own).fingerprint() == parser.fingerprint()
    own.write_text("[")
    with pytest.raises(FormatError, match="cannot be read as JSON"):
        PrecomputedGraphs.open(own)


def naive_f1(found: list[Graph], expected: list[Graph], size: int) -> float:
    """Count in loops."""
    matched = ours = theirs = 0
    for one, other in zip(found, expected, strict=True):
        have = [fact for fact in one.facts() if len(fact) == size]
        want = [fact for fact in other.facts() if len(fact) == size]
        matched += sum(fact in want for fact in have)
        ours, theirs = ours + len(have), theirs + len(want)
    return 200 * matched / (ours + theirs) if ours + theirs else 0.0


@given(st.lists(st.tuples(graphs(), graphs()), min_size=1, max_size=4))
def test_agreement_equals_loops(pairs: list[tuple[Graph, Graph]]) -> None:
    found, expected = [one for one, _ in pairs], [other for _, other in pairs]
    comparison = compare(found, expected)
    kinds = (comparison.objects, comparison.attributes, comparison.relations)
    for size, kind in enumerate(kinds, start=1):
        assert kind.f1 == pytest.approx(naive_f1(found, expected, size))
        soft = compare(found, expected, soft=True)
        assert (soft.objects, soft.attributes, soft.relations)[size - 1].f1 >= kind.f1 - 1e-9
    same = compare(found, found)
    assert same.whole == 100
