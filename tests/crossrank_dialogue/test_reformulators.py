from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crossrank.errors import FormatError, InputError, ParameterError, UnknownIdError
from crossrank_dialogue import (
    Answers,
    Concat,
    Dialogue,
    Fuse,
    Part,
    Precomputed,
    Rules,
    Turn,
    is_unknown,
    read_dialogues,
    statement,
)

TALK = (
    Dialogue("a dog runs", id="1.jpg")
    .answered("what color is the dog?", "brown")
    .answered("is it raining?", "no")
    .answered("is there a ball?", "i can't tell")
)


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("What color is the dog?", "brown", "the dog is brown"),
        ("is the man wearing a hat?", "yes, a red one", "the man is wearing a hat, a red one"),
        ("do you see any dogs?", "yes", "there is dogs"),
        ("how many dogs are there?", "2", "2 dogs"),
        ("what is the boy holding?", "a ball", "the boy is holding a ball"),
        ("is he young or old?", "old", "he is old"),
        ("are there any people?", "no", ""),
        ("is it sunny?", "can't tell", ""),
        ("what else?", "a cat on a mat", "a cat on a mat"),
    ],
)
def test_statements(question: str, answer: str, said: str) -> None:
    assert statement(question, answer) == said


def test_a_bare_no_can_be_put_into_words() -> None:
    assert statement("are there any people?", "no", negations=True) == "there is no people"


@pytest.mark.parametrize("answer", ["unknown", "I can't see", "not sure", "??"])
def test_an_answer_that_says_nothing(answer: str) -> None:
    assert is_unknown(answer) and statement("is it red?", answer) == ""


def test_each_way_of_rewriting() -> None:
    asked = "what color is the dog? brown, is it raining? no, is there a ball? i can't tell"
    assert Concat().rewrite(TALK) == f"a dog runs, {asked}"
    assert Answers().rewrite(TALK) == "a dog runs, brown, no"
    assert Rules().rewrite(TALK) == "a dog runs, the dog is brown"
    fused = Fuse(Rules(), 0.5)
    assert fused.parts(TALK) == (Part("a dog runs"), Part("the dog is brown", 0.5))
    assert fused.parts(TALK.until(0)) == (Part("a dog runs"),)
    assert Rules().parts(TALK) == (Part("a dog runs, the dog is brown"),)
    with pytest.raises(ParameterError, match="weight is -1"):
        Fuse(Rules(), -1)


def test_precomputed_rewrites_keep_the_last_one() -> None:
    made = Precomputed({"1.jpg": ["a dog", "a brown dog"]})
    assert [made.rewrite(TALK.until(t)) for t in range(4)] == ["a dog", *["a brown dog"] * 3]
    with pytest.raises(UnknownIdError, match=r"'2.jpg'.*'1.jpg'"):
        made.rewrite(Dialogue("x", id="2.jpg"))
    with pytest.raises(InputError, match="'a' has no texts"):
        Precomputed({"a": []})


def test_a_dialogue_is_a_sequence_of_texts_and_survives_json() -> None:
    assert list(TALK.until(1)) == ["a dog runs", "what color is the dog? brown"]
    assert Dialogue.from_json(json.loads(json.dumps(TALK.to_json()))) == TALK
    visdial = {"img": "1.jpg", "dialog": ["a dog runs", "what color is the dog? brown"]}
    assert Dialogue.from_json(visdial) == TALK.until(1)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"image": "a"}, "the dialogue 'a' has no \"caption\""),
        ({"caption": "x", "turns": [{"question": "y?"}]}, 'round 1: give "question" and "answer"'),
        ({"dialog": []}, "no list of texts"),
        ({"img": "a", "dialog": ["x", "no mark"]}, "round 1: 'no mark' has no question mark"),
    ],
)
def test_a_damaged_record(record: dict[str, Any], says: str) -> None:
    with pytest.raises(FormatError, match=says):
        Dialogue.from_json(record)


def test_empty_things_are_refused() -> None:
    with pytest.raises(InputError, match="say in words"):
        Dialogue("  ")
    with pytest.raises(InputError, match=r"'is it\?' has no answer"):
        Turn("is it?", " ")
    with pytest.raises(InputError, match="half a character"):
        Dialogue("a dog \ud800")
    with pytest.raises(InputError, match="half a character"):
        Turn("is it?", "\udc00")


def test_files_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps(TALK.to_json()) + "\n\n{\n")
    with pytest.raises(FormatError, match=r"talks\.jsonl:3 is no JSON"):
        read_dialogues(path)
    path.write_text(json.dumps(TALK.to_json()) + "\n")
    assert read_dialogues(path) == [TALK]
    listed = tmp_path / "talks.json"
    listed.write_text(json.dumps([TALK.to_json(), {"image": "b"}]))
    with pytest.raises(FormatError, match=r"talks\.json, dialogue 1: .*\"caption\""):
        read_dialogues(listed)
