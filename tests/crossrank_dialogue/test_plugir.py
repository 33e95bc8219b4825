"""Algorithms 1 and 2 as a whole, beside loops that say what the paper says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from crossrank.errors import PluginError
from crossrank_dialogue import (
    CandidateSummary,
    Dialogue,
    DropQuestioner,
    LlmQuestioner,
    QuestionSelector,
    View,
)
from toys.dialogue import SIZE, captions, embed, scripted, view

TALK = Dialogue("dog").answered("what color?", "brown")
PROPOSED = ("is it snow?", "is it a hat?", "what color?", "is it a beach?", "is it brown?")
KNOWN = {"is it brown?", "is it snow?"}


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value) for value in values]
    return [power / sum(powers) for power in powers]


def dot(left: Any, right: Any) -> float:
    return float(sum(float(a) * float(b) for a, b in zip(left, right, strict=True)))


def naive_summary(looked_at: View, labels: list[int]) -> set[str]:
    """Return of each cluster the caption whose softmax over the candidates has least entropy."""
    captions = [looked_at.gallery["captions"][row][0] for row in looked_at.rows]
    best: dict[int, tuple[float, str]] = {}
    for label, caption in zip(labels, captions, strict=True):
        (query,) = embed([caption])
        chances = softmax([dot(query, picture) for picture in looked_at.embeddings])
        entropy = -sum(p * math.log(p) for p in chances)
        best[label] = min(best.get(label, (math.inf, "")), (entropy, caption))
    return {caption for _, caption in best.values()}


def naive_question(looked_at: View, questions: list[str]) -> str:
    """Return the open question of least divergence."""
    asked = {turn.question for turn in TALK.turns}
    still_open = [each for each in questions if each not in asked and each not in KNOWN]

    def chances(text: str) -> list[float]:
        (query,) = embed([text])
        return softmax([dot(query, picture) for picture in looked_at.embeddings])

    before = chances(looked_at.query)
    found = []
    for question in still_open:
        after = chances(f"{looked_at.query}, {question}")
        found.append(sum(p * math.log(p / q) for p, q in zip(before, after, strict=True)))
    return still_open[found.index(min(found))]


def stand_in(questions: tuple[str, ...] = PROPOSED, known: set[str] = KNOWN) -> Any:
    def answered(user: str) -> str:
        (question,) = (q for q in (*questions, "is it late?") if f"Question: {q}\nReply" in user)
        return "yes, it is" if question in known else "uncertain"

    return scripted(("Write", "x"), ("Ask about", "\n".join(questions)), ("reply with", answered))


def clustered(centres: int, each: int) -> View:
    """Return candidates in clusters so far apart that whatever is no K-means would not do."""
    rng = np.random.default_rng(0)
    looked_at = view("dog", centres * each)
    labels = rng.permutation(np.repeat(np.arange(centres), each))
    rows = np.eye(SIZE)[labels] + 0.01 * rng.normal(size=(len(labels), SIZE))
    embeddings = np.array(looked_at.gallery["embedding"], np.float32)
    embeddings[looked_at.rows] = rows
    return View(
        looked_at.gallery.with_features(embedding=embeddings, cluster=[0] * len(embeddings)),
        looked_at.rows,
        embed,
        "dog",
    )


def test_algorithm_1_equals_loops() -> None:
    looked_at = clustered(6, 8)
    labels = looked_at.embeddings.argmax(axis=1).tolist()
    shown = CandidateSummary(candidates=48, clusters=6, shrink=0)(looked_at, 3)
    assert set(shown) == naive_summary(looked_at, labels) and len(shown) == 6


def test_the_candidates_become_fewer() -> None:
    summary = CandidateSummary()
    assert [summary.depth(rounds) for rounds in (0, 1, 9, 10, 20)] == [500, 450, 50, 10, 10]
    looked_at = clustered(6, 8)
    fewer = CandidateSummary(candidates=40, clusters=4, shrink=0.25)
    assert fewer(looked_at, 2) == fewer(looked_at.first(20), 0)


def test_algorithm_2_equals_loops_as_a_whole() -> None:
    looked_at = view("dog brown", 40)
    model = stand_in()
    questioner = LlmQuestioner(model, summary=CandidateSummary(candidates=40, shrink=0))
    asked = questioner.ask(TALK, looked_at)
    assert asked is not None and asked.text == naive_question(looked_at, list(PROPOSED))
    assert "2 open questions" in asked.why
    shown = CandidateSummary(candidates=40, shrink=0)(looked_at, 1)
    for caption in shown:
        assert f"- {caption}\n" in model.asked[0][1]["content"]


def test_the_order_of_candidates_changes_nothing() -> None:
    looked_at = view("dog brown", 40)
    order = np.random.default_rng(0).permutation(40)
    shuffled = View(looked_at.gallery, looked_at.rows[order], embed, looked_at.query)
    summary = CandidateSummary(candidates=40)
    assert summary(looked_at, 0) == summary(shuffled, 0)
    one, other = (
        QuestionSelector().select(each, ["is it snow?", "is it a hat?"])
        for each in (looked_at, shuffled)
    )
    assert one[0] == other[0] and (one[1] == other[1]).all()


def test_three_tries_and_then_the_fallback_question() -> None:
    model = stand_in(known=set(PROPOSED))
    selector = QuestionSelector(fallback="what else?")
    asked = LlmQuestioner(model, selector=selector).ask(TALK, view("dog", 40))
    assert asked is not None and asked.text == "what else?"
    proposals = [each for each in model.asked if "Ask about" in each[0]["content"]]
    assert len(proposals) == 2  # the third is the second again, word for word
    assert "Do not ask: is it snow?" in proposals[1][1]["content"]


def test_skipped_candidates_never_are_all() -> None:
    few = view("dog", 3)
    assert QuestionSelector(skip=10).select(few, ["is it snow?"])[0] == 0


def test_few_candidates_identical_embeddings_and_none() -> None:
    assert len(CandidateSummary()(view("dog", 3), 0)) == 3
    same = view("dog", 20)
    one = same.gallery.with_features(embedding=np.ones((len(same.gallery), SIZE), np.float32))
    assert len(CandidateSummary(clusters=5)(View(one, same.rows, embed, "dog"), 0)) == 5
    empty = same.first(0)
    assert CandidateSummary()(empty, 0) == ()
    asked = LlmQuestioner(stand_in()).ask(TALK, empty)
    assert asked is not None and asked.text == QuestionSelector().fallback


def test_a_model_that_fails_leaves_the_question_to_another() -> None:
    def down(messages: Any) -> str:
        raise OSError("no route")

    with pytest.raises(PluginError, match="no route"):
        LlmQuestioner(down).ask(TALK, view("dog"))
    labels = [[caption.split()[1]] for caption in captions()]
    looked_at = view("brown", labels=labels)
    asked = LlmQuestioner(down, fallback=DropQuestioner()).ask(TALK, looked_at)
    assert asked is not None and "no route" in asked.why
