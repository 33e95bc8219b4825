from __future__ import annotations

from typing import Any

import pytest

from crossrank.errors import InputError, ParameterError, PluginError
from crossrank_dialogue import Dialogue, Fuse, Llm, Part, Rules
from crossrank_dialogue.replies import caption_of, is_uncertain, questions_of
from toys.dialogue import scripted

TALK = Dialogue("a dog").answered("what color is the dog?", "brown").answered("where?", "on grass")


def rewriter(**replies: Any) -> Any:
    """Return a model that knows how to write one caption and how to paraphrase it."""
    return scripted(
        ("in other words", replies.get("paraphrase", "a hound")),
        ("Write one caption", replies.get("caption", 'Caption: "a brown dog"\n')),
    )


def test_a_round_is_rewritten_and_asked_once() -> None:
    model = rewriter(caption=lambda user: f"{user.count('Answer:')} answers")
    reformulator = Llm(model)
    assert reformulator.rewrite(TALK.until(0)) == "a dog" and not model.asked
    assert reformulator.rewrite(TALK.until(1)) == "1 answers"
    assert reformulator.rewrite(TALK) == "2 answers"
    assert reformulator.rewrite(TALK) == "2 answers" and len(model.asked) == 2
    assert "Question: where?\nAnswer: on grass" in model.asked[-1][1]["content"]
    assert Fuse(reformulator, 0.5).parts(TALK) == (Part("a dog"), Part("2 answers", 0.5))


def test_the_same_text_is_asked_for_once_more_in_other_words() -> None:
    model = rewriter()
    reformulator = Llm(model)
    assert reformulator.rewrite(TALK.until(1)) == "a brown dog"
    assert reformulator.rewrite(TALK) == "a hound"
    assert len(model.asked) == 3
    assert "Last caption tried: a brown dog" in model.asked[-1][1]["content"]
    stubborn = Llm(rewriter(paraphrase="a brown dog"))
    assert stubborn.rewrite(TALK) == "a brown dog"


def test_an_answer_unknown_asks_nothing_and_changes_nothing() -> None:
    model = rewriter()
    reformulator = Llm(model)
    talk = TALK.until(1).answered("is it sunny?", "can't tell")
    assert reformulator.rewrite(talk) == "a brown dog" and len(model.asked) == 1


@pytest.mark.parametrize("reply", ["", "\n \n", "\u200b", '""', "Here is the caption:"])
def test_a_model_that_says_nothing_leaves_it_to_the_rules(reply: str) -> None:
    reformulator = Llm(lambda messages: reply)
    assert reformulator.rewrite(TALK.until(1)) == Rules().rewrite(TALK.until(1))
    assert "nothing" in reformulator.note(TALK.until(1))
    with pytest.raises(PluginError, match="nothing"):
        Llm(lambda messages: reply, fallback=None).rewrite(TALK)


def test_a_model_that_fails_is_told_of() -> None:
    def down(messages: Any) -> str:
        raise OSError("no route")

    reformulator = Fuse(Llm(down))
    assert reformulator.rewrite(TALK) == Rules().rewrite(TALK)
    assert reformulator.note(TALK) == "the language model failed: OSError: no route"
    assert reformulator.note(TALK.until(0)) == ""


def test_what_a_model_talks_is_cut_to_a_caption() -> None:
    assert len(Llm(lambda m: "dog " * 100_000).rewrite(TALK).split()) == 60
    assert caption_of("<think>a cat?</think>\nSure, here you are:\n**A dog.**\nBye", 60) == "A dog."
    assert caption_of("New caption: a\x00 dog\u202e runs", 60) == "a dog runs"
    assert caption_of("<img src=x onerror=alert(1)>", 60) == "<img src=x onerror=alert(1)>"


def test_questions_of_a_reply() -> None:
    reply = "Sure, some questions:\n1. Is it red?\n- Where is it?\n(3) is it red\nQ4: Is it red?\n"
    assert questions_of(reply, 5) == ("Is it red?", "Where is it?")
    assert questions_of(reply, 1) == ("Is it red?",)
    assert questions_of("what color is it\nwhere is it.", 5) == (
        "what color is it?",
        "where is it?",
    )
    assert questions_of("dog " * 100_000, 5) == ()


def test_uncertain_replies() -> None:
    assert all(map(is_uncertain, ["uncertain", "Reply: Uncertain.", "**uncertain**", "not sure"]))
    assert not any(map(is_uncertain, ["yes", "a certain dog", "", "The dog, uncertain"]))


def test_bad_parameters() -> None:
    with pytest.raises(ParameterError, match="words is 0"):
        Llm(lambda m: "", words=0)
    with pytest.raises(InputError, match="give a Reformulator"):
        Llm(lambda m: "", fallback="rules")  # type: ignore[arg-type]
