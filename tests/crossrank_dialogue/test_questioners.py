from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError, ParameterError
from crossrank_dialogue import (
    BankTopics,
    CaptionTopics,
    Dialogue,
    DropQuestioner,
    LabelTopics,
    Question,
    WordTopics,
    expected_drop,
    expected_gain,
)
from crossrank_dialogue.describing import ByWords, by_captions, by_labels, describer_of
from crossrank_dialogue.questioners import was_asked
from crossrank_dialogue.vocabulary import is_there
from crossrank_knowledge import KnowledgeBank
from toys.dialogue import SIZE, captions, vector, view

LABELS = [[caption.split()[1]] for caption in captions()]


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 4))
def test_the_expected_gain_equals_loops(seed: int, count: int, answers: int) -> None:
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(count))
    likely = rng.dirichlet(np.ones(answers + 1), count)[:, :answers]
    total = 0.0
    for answer in range(answers):
        own = sum(p * row[answer] for p, row in zip(prior, likely, strict=True))
        for p, row in zip(prior, likely, strict=True):
            total += p * row[answer] * math.log(row[answer] / own)
    assert expected_gain(prior, likely) == pytest.approx(max(total, 0), abs=1e-12)


def test_with_every_answer_the_gain_is_the_drop_of_entropy() -> None:
    prior, likely = [0.2, 0.5, 0.3], [[0.9, 0.1], [0.3, 0.7], [0.5, 0.5]]
    assert expected_gain(prior, likely) == pytest.approx(expected_drop(prior, likely))
    half = [[value / 2 for value in row] for row in likely]
    assert expected_gain(prior, half) == pytest.approx(expected_drop(prior, likely, known=0.5))


def test_the_best_question_splits_what_is_likely() -> None:
    looked_at = view("brown", 40, labels=LABELS)
    questioner = DropQuestioner(LabelTopics(negations=1), candidates=40)
    gains = questioner.gains(Dialogue("brown"), looked_at)
    prior = looked_at.prior()
    for topic, gain in gains:
        has = np.array([topic.about in looked_at.gallery["labels"][row] for row in looked_at.rows])
        there = np.where(has, 0.9, 0.05)
        expected = expected_drop(prior, np.stack([there, 1 - there], axis=1))
        assert gain == pytest.approx(expected)
    assert [gain for _, gain in gains] == sorted((gain for _, gain in gains), reverse=True)
    asked = questioner.ask(Dialogue("brown"), looked_at)
    assert asked is not None and asked.text == is_there(gains[0][0].about)
    assert asked.choices == ("yes", "no") and "nats expected" in asked.why


def test_what_is_known_is_not_asked_again() -> None:
    looked_at = view("brown", 40, labels=LABELS)
    questioner = DropQuestioner(LabelTopics())
    talk, asked = Dialogue("a brown hat and two dogs"), []
    while (question := questioner.ask(talk, looked_at)) is not None:
        asked.append(question.text)
        talk = talk.answered(question.text, "unknown")
    assert len(asked) == len(set(asked)) == 4
    assert not any("hat" in text or "dog" in text for text in asked)
    assert was_asked(talk, asked[0].upper())


def test_unknown_answers_count_neither_way() -> None:
    """A thing that nobody would speak of tells nothing, however well it splits the candidates."""
    looked_at = view("brown", 40, labels=LABELS)
    silent = DropQuestioner(LabelTopics(found=0.0, missed=0.0))
    assert silent.ask(Dialogue("brown"), looked_at) is None


def test_captions_say_what_there_is_and_what_it_looks_like() -> None:
    pytest.importorskip("spacy")
    texts = ["a brown dog runs", "a black dog runs", "a boy on a beach", "a boy in the snow"]
    looked_at = view("dog", 4).first(4)
    pictures = looked_at.gallery.take(looked_at.rows).with_features(captions=[[t] for t in texts])
    four = type(looked_at)(pictures, np.arange(4), looked_at.embed, "dog")
    topics = {topic.question.text: topic for topic in CaptionTopics()(four)}
    look = topics["What does the dog look like?"]
    assert set(look.answers) == {"brown", "black"}
    assert look.likelihood.sum(axis=1) == pytest.approx([0.6, 0.6, 0.05, 0.05])
    there = topics["Is there a dog in the picture?"]
    assert there.likelihood[:, 0] == pytest.approx([0.6, 0.6, 0.05, 0.05])
    assert "2 of 4 candidates" in there.question.why


def test_words_fit_the_pictures_that_show_them() -> None:
    looked_at = view("brown", 40)
    topics = WordTopics(["dog", "hat"], [("Where?", ("snow", "beach"))])(looked_at)
    names = [looked_at.gallery.ids[row] for row in looked_at.rows]
    for topic, word in zip(topics, ("dog", "hat"), strict=False):
        there = np.array([word in name for name in names])
        assert topic.likelihood[there].min() > topic.likelihood[~there].max()
    where = topics[2].likelihood
    assert where.sum(axis=1) == pytest.approx(np.ones(40))
    snow = np.array(["snow" in name for name in names])
    assert (where[snow, 0] > 0.5).all()


def test_a_bank_sees_words_in_regions() -> None:
    words = ["dog", "cat", "nothing"]
    bank = KnowledgeBank(words, np.stack([vector(w) for w in words]).astype(np.float32))
    rows = [vector(caption.split()[1])[None].astype(np.float32) for caption in captions()]
    looked_at = view("brown", 40, regions=cr.Ragged.from_list(rows))
    dog, cat = BankTopics(bank, ["dog", "cat", "zebra"])(looked_at)
    names = [looked_at.gallery.ids[row] for row in looked_at.rows]
    for topic, word in ((dog, "dog"), (cat, "cat")):
        there = np.array([word in name for name in names])
        assert topic.likelihood[there].min() > topic.likelihood[~there].max()
    said = ByWords(BankTopics(bank, ["dog", "cat"]), most=1)(looked_at)
    assert all(
        text == f"a {name.split('-')[1]}"
        for text, name in zip(said, names, strict=True)
        if "dog" in name or "cat" in name
    )
    with pytest.raises(InputError, match="none of these words"):
        BankTopics(bank, ["zebra"])
    with pytest.raises(MissingFeatureError, match="regions"):
        BankTopics(bank, ["dog"])(view("brown"))


def test_candidates_in_words() -> None:
    looked_at = view("brown dog", 5, labels=[["dog", "dog", "hat"]] * len(captions()))
    assert by_captions(looked_at)[0].startswith("brown dog")
    assert by_labels(looked_at)[0] == "2 dogs, a hat"
    assert "a dog" in ByWords(WordTopics(["dog", "umbrella", "cat"]), most=1)(looked_at)[0]
    assert describer_of(looked_at) is by_captions
    bare = looked_at.gallery.take(looked_at.rows, ["embedding"])
    only = type(looked_at)(bare, np.arange(5), looked_at.embed, "dog")
    assert isinstance(describer_of(only), ByWords)


def test_few_candidates_have_nothing_to_be_asked() -> None:
    assert DropQuestioner().ask(Dialogue("x"), view("dog", 1)) is None
    assert DropQuestioner().ask(Dialogue("x"), view("dog", 0)) is None


def test_bad_parameters() -> None:
    with pytest.raises(ParameterError, match="candidates"):
        DropQuestioner(candidates=1)
    with pytest.raises(ParameterError, match="found"):
        LabelTopics(found=2)
    with pytest.raises(InputError, match="at least one thing"):
        WordTopics([], [])
    with pytest.raises(InputError, match="ask something"):
        Question(" ")
    with pytest.raises(InputError, match="over 1"):
        expected_gain([1.0], [[0.6, 0.6]])
    assert vector("dog").shape == (SIZE,)
