from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    FormatError,
    InputError,
    ParameterError,
    UnknownIdError,
)
from crossrank.testing import make_collection
from crossrank_dialogue import (
    Chat,
    Concat,
    Dialogue,
    DropQuestioner,
    Fuse,
    LabelTopics,
    Llm,
    LlmQuestioner,
    PartRanker,
    Question,
    Rules,
    View,
    ranks_of,
)
from crossrank_dialogue.queries import EncodedTexts, encoder_of
from crossrank_dialogue.reformulators import Part
from toys.dialogue import ToyEncoder, captions, embed, gallery, scripted

LABELS = [[caption.split()[1]] for caption in captions()]


class Product(cr.Reranker):
    """The inner product of embeddings, a little bent, and how often it was asked."""

    info = cr.RerankerInfo(
        name="product",
        summary="inner product",
        query_features=("embedding",),
        candidate_features=("embedding",),
        thread_safe=False,
    )
    pairs = 0

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        Product.pairs += int(block.mask.sum())
        rows = block.candidates["embedding"][block.index]
        products = np.einsum("qd,qkd->qk", block.queries["embedding"], rows)
        return cr.Scores((products**3).astype(np.float32))


@pytest.fixture
def chat() -> Chat:
    questioner = DropQuestioner(LabelTopics())
    return Chat(cr.Stage(Product), gallery(labels=LABELS), "fuse", questioner, encoder=ToyEncoder())


def test_a_conversation(chat: Chat) -> None:
    assert chat.ask() == "What are you looking for?" and chat.dialogue is None
    first = chat.answer("brown")
    assert first is chat.ranking and "brown" in first[0].id
    asked = chat.ask()
    assert asked == chat.ask() and asked.startswith("Is there a ")
    assert chat.question is not None and chat.question.choices == ("yes", "no")
    thing = asked.split()[3]
    chat.answer("yes")
    assert chat.dialogue == Dialogue("brown").answered(asked, "yes")
    assert {"brown", thing} <= set(chat.ranking[0].id.split("-")) and chat.rounds == 1
    assert [each.answer for each in chat.trace] == ["brown", "yes"]
    last = chat.trace[-1]
    assert last.parts == (Part("brown"), Part(f"there is a {thing}", 0.7))
    assert last.best[0] == chat.ranking[0].id and "nats" in last.question.why


def test_what_changes_no_query_is_not_ranked_again(chat: Chat) -> None:
    first = chat.answer("brown")
    chat.ask()
    before = Product.pairs
    assert chat.answer("can't tell") is first
    assert chat.undo() == chat.trace[0].question.text or chat.rounds == 0
    assert chat.ranking is first and Product.pairs == before


def test_undo_brings_the_question_back(chat: Chat) -> None:
    chat.answer("brown")
    asked = chat.ask()
    chat.answer("yes")
    assert chat.undo() == asked == chat.ask() and chat.rounds == 0
    assert chat.undo() == "What are you looking for?" and chat.dialogue is None
    with pytest.raises(InputError, match="nothing to take back"):
        chat.undo()
    with pytest.raises(InputError, match="nothing was looked for yet"):
        chat.ranking  # noqa: B018


def test_another_question_and_what_is_told_unasked(chat: Chat) -> None:
    chat.answer("brown")
    first = chat.ask()
    second = chat.another()
    assert second != first and chat.another() not in (first, second)
    chat.answer("yes")
    chat.answer("a hat")
    assert chat.trace[-1].parts[-1].text.endswith(", a hat")
    assert chat.ask() not in (first, second)


def test_questions_run_out(chat: Chat) -> None:
    chat.answer("brown")
    for _ in range(6):
        chat.ask()
        chat.answer("unknown")
    assert chat.ask() == "What else can you say about the picture?"
    chat.answer("snow")
    assert "snow" in chat.ranking[0].id


def test_a_questioner_that_fails_is_no_end(chat: Chat) -> None:
    broken = Chat(None, gallery(), "fuse", DropQuestioner(LabelTopics()), encoder=ToyEncoder())
    broken.answer("brown")
    assert broken.ask() == "What else can you say about the picture?"
    assert broken.question is not None and "no feature 'labels'" in broken.question.why


def test_one_part_equals_the_pipeline_and_parts_are_added_up() -> None:
    pictures, texts = gallery(), EncodedTexts(ToyEncoder())
    pipeline = cr.Pipeline(cr.Stage(Product))
    ranker = PartRanker(pipeline, pictures, texts, depth=20)
    queries = cr.encode(ToyEncoder(), ["brown dog", "snow"])
    plain = pipeline.rerank(cr.search(queries, pictures, 20), queries, pictures)
    ours = ranker(["a", "b"], [(Part("brown dog"),), (Part("snow"),)])
    for mine, theirs in zip(ours.values(), plain.values(), strict=True):
        assert tuple(mine) == tuple(theirs)

    parts = (Part("brown dog"), Part("snow", 0.5))
    summed = ranker(["a", "b"], [parts, (Part("snow"),)])["a"]
    vector = embed(["brown dog"])[0] + 0.5 * embed(["snow"])[0]
    base = np.asarray(pictures["embedding"], float) @ vector
    assert {hit.index for hit in summed} == set(np.argsort(-base)[:20].tolist())
    lists = cr.Candidates.from_lists(
        [summed.ids] * 2,
        scores=[
            (np.asarray(pictures["embedding"], float)[[h.index for h in summed]] @ row).tolist()
            for row in embed(["brown dog", "snow"])
        ],
        query_ids=["0", "1"],
        candidate_ids=pictures.ids,
    )
    apart = pipeline.rerank(lists, queries, pictures).to_similarity()
    expected = apart[0] + 0.5 * apart[1]
    assert [hit.score for hit in summed] == pytest.approx(
        sorted((expected[h.index] for h in summed), reverse=True), abs=1e-6
    )
    for hit in summed:
        assert hit.score == pytest.approx(expected[hit.index], abs=1e-6)
        assert hit.base_score == pytest.approx(base[hit.index], abs=1e-6)
        assert [trace.stage for trace in hit.trace] == ["product"]  # what both queries have
    both = ranker(["a"], [parts])["a"]
    assert both.ids == summed.ids
    assert [trace.stage for trace in both[0].trace] == ["product", "product (2)"]
    assert both[3].trace[1].score == pytest.approx(
        float(embed(["snow"])[0] @ np.asarray(pictures["embedding"], float)[both[3].index]) ** 3,
        abs=1e-5,
    )


def test_the_target_has_its_rank_in_every_round() -> None:
    pictures = gallery(labels=LABELS)
    target = "brown-hat-snow"
    chat = Chat(None, pictures, "rules", None, encoder=ToyEncoder(), depth=5, target=target)
    for text in ("cat", "hat", "brown", "snow"):
        chat.answer(text)
    found = []
    for each in chat.trace:
        scores = embed([each.text]) @ np.asarray(pictures["embedding"], float).T
        found.append(ranks_of(scores, [pictures.row(target)])[0])
    assert [each.rank for each in chat.trace] == found
    assert found[0] > 5 and found[-1] < found[0]
    with pytest.raises(UnknownIdError, match="'no-such'"):
        Chat(None, pictures, encoder=ToyEncoder(), target="no-such")


def test_a_conversation_resumes_from_its_file(chat: Chat, tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    chat.save(path)
    assert Chat.resume(path, None, chat.gallery, encoder=ToyEncoder()).ask() == chat.ask()
    chat.answer("brown <b>")
    chat.ask()
    chat.another()
    chat.answer("yes")
    asked = chat.ask()
    chat.save(path)
    again = Chat.resume(
        path,
        cr.Stage(Product),
        chat.gallery,
        "fuse",
        DropQuestioner(LabelTopics()),
        encoder=ToyEncoder(),
    )
    assert again.ask() == asked and again.trace == chat.trace
    assert again.ranking == chat.ranking and again.to_json() == chat.to_json()
    assert again.undo() == chat.undo()
    record = json.loads(path.read_text())
    assert Dialogue.from_json(record["dialogue"]).caption == "brown <b>"


def test_a_gallery_that_changed_is_told_of(chat: Chat, tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    chat.answer("brown dog")
    chat.save(path)
    fewer = chat.gallery.take(np.arange(10, 90))
    with pytest.raises(InputError, match=r"held on 96 items, there are 80 now.*changed='rank'"):
        Chat.resume(path, cr.Stage(Product), fewer, encoder=ToyEncoder())
    again = Chat.resume(path, cr.Stage(Product), fewer, encoder=ToyEncoder(), changed="rank")
    assert again.trace[0].best == again.ranking.ids[:10]
    assert set(again.ranking.ids) <= set(fewer.ids)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read as a conversation"),
        ("[]", "no conversation"),
        ('{"format": "crossrank chat 1"}', "damaged"),
    ],
)
def test_a_damaged_file(content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=says):
        Chat.resume(path, None, gallery(), encoder=ToyEncoder())
    with pytest.raises(FormatError, match="cannot be read"):
        Chat.resume(tmp_path / "none.json", None, gallery(), encoder=ToyEncoder())


def test_each_field_of_a_file_is_checked(chat: Chat, tmp_path: Path) -> None:
    chat.answer("brown dog")
    chat.ask()
    path = tmp_path / "chat.json"
    record = chat.to_json()
    for key in ("gallery", "rounds", "pending", "passed", "depth", "target"):
        broken = {**record, key: [3] if key != "passed" else 3}
        path.write_text(json.dumps(broken))
        with pytest.raises(CrossrankError):
            Chat.resume(path, None, chat.gallery, encoder=ToyEncoder())


def test_with_a_model_and_without_it_when_it_fails() -> None:
    replies = scripted(
        ("Write one caption", "a brown dog <script>"),
        ("Ask about", "is it on the beach?\nis it snow?"),
        ("reply with", "uncertain"),
    )
    pictures = gallery(captions=[[text] for text in captions()])
    chat = Chat(None, pictures, Fuse(Llm(replies)), LlmQuestioner(replies), encoder=ToyEncoder())
    chat.answer("dog")
    assert chat.ask() in ("is it on the beach?", "is it snow?")
    chat.answer("yes")
    assert chat.trace[-1].parts[-1].text == "a brown dog <script>" and not chat.trace[-1].note

    def down(messages: Any) -> str:
        raise OSError("no route")

    fallback = DropQuestioner(LabelTopics())
    pictures = gallery(labels=LABELS)
    chat = Chat(
        None, pictures, Llm(down), LlmQuestioner(down, fallback=fallback), encoder=ToyEncoder()
    )
    chat.answer("brown")
    asked = chat.ask()
    chat.answer("yes")
    assert chat.trace[-1].text == Rules().rewrite(Dialogue("brown").answered(asked, "yes"))
    assert "no route" in chat.trace[-1].note and "no route" in chat.trace[-1].question.why


def test_callables_in_the_place_of_objects() -> None:
    seen: list[View] = []

    def asker(dialogue: Dialogue, view: View) -> str:
        seen.append(view)
        return "is it red?"

    chat = Chat(None, gallery(), lambda talk: talk.caption, asker, encoder=ToyEncoder(), depth=10)
    chat.answer("dog")
    assert chat.ask() == "is it red?" and len(seen[0]) == 96
    assert seen[0].rows[:10].tolist() == [hit.index for hit in chat.ranking]
    asked = Chat(None, gallery(), Concat(), lambda d, v: Question("a?"), encoder=ToyEncoder())
    asked.answer("dog")
    assert asked.ask() == "a?"


def test_whatever_has_the_methods() -> None:
    class Mine:
        def rewrite(self, dialogue: Dialogue) -> str:
            return "snow"

        def ask(self, dialogue: Dialogue, view: View) -> str:
            return "is it cold?"

    chat = Chat(None, gallery(), Mine(), Mine(), encoder=ToyEncoder())  # type: ignore[arg-type]
    assert "snow" in chat.answer("dog")[0].id and chat.ask() == "is it cold?"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"reformulator": "rulez"}, ParameterError, "did you mean 'rules'"),
        ({"reformulator": 3}, InputError, "give a Reformulator"),
        ({"reformulator": Rules}, InputError, "give a Reformulator"),
        ({"questioner": "clever"}, InputError, "give a Questioner"),
        ({"depth": 0}, ParameterError, "depth"),
        ({"gallery": cr.Collection([], "image")}, InputError, "the gallery is empty"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    given = {"pipeline": None, "gallery": gallery(), "encoder": ToyEncoder(), **arguments}
    with pytest.raises(error, match=says):
        Chat(**given)


def test_bad_answers(chat: Chat) -> None:
    for nothing in ("", "  "):
        with pytest.raises(InputError):
            chat.answer(nothing)
    chat.answer("dog")
    asked = chat.ask()
    with pytest.raises(InputError, match="has no answer"):
        chat.answer(" ")
    assert chat.ask() == asked and chat.rounds == 0
    chat.answer("word " * 100_000)
    empty = Chat(None, gallery(), lambda talk: " ", encoder=ToyEncoder())
    with pytest.raises(InputError, match="return a text"):
        empty.answer("dog")


def test_a_gallery_of_another_version_of_its_encoder_is_refused() -> None:
    cr.register(ToyEncoder)
    made = cr.encode(ToyEncoder(), [cr.Item("a", text="a")])
    assert encoder_of(made, None).info.name == "toy"
    other = cr.Collection(["a"], "image", encoder="toy:0000", embedding=embed(["a"]))
    with pytest.raises(FeatureMismatchError, match="toy:0000"):
        encoder_of(other, None)


def test_a_pipeline_that_reads_more_than_embeddings() -> None:
    """What a stage reads of a query is found and encoded."""
    pytest.importorskip("torch")

    class Wordy(ToyEncoder):
        info = cr.EncoderInfo(
            name="wordy",
            summary="words as rows",
            features={"text": ("embedding", "tokens"), "image": ("embedding",)},
            default_features=("embedding",),
        )

        def encode_batch(self, items: Any, modality: str, features: Any) -> dict[str, Any]:
            rows = [embed(str(item.text).split())[:, :8].astype(np.float32) for item in items]
            tokens = [row / np.linalg.norm(row, axis=1, keepdims=True) for row in rows]
            found: dict[str, Any] = {"embedding": np.stack([row.mean(axis=0) for row in tokens])}
            if "tokens" in features:
                found["tokens"] = cr.Ragged.from_list(tokens)
            return found

    pictures = make_collection("image", 6, dimensions={"embedding": 8, "tokens": 8})
    chat = Chat("filip", pictures, "fuse", None, encoder=Wordy(), depth=4)
    chat.answer("a dog")
    chat.answer("in the snow")
    assert len(chat.ranking) == 4
    assert [t.stage for t in chat.ranking[0].trace] == ["filip", "filip (2)"]
