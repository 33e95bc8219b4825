"""Scores against a naive oracle; what is computed how often; what a subclass may change."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import crossrank as cr
from crossrank.errors import ImageError, InputError, ParameterError, PluginError
from crossrank.testing import check_reranker
from crossrank_blip2 import Blip2Reranker
from toys import tiny_blip2
from toys.blip2 import CountingBackend, TinyBlip2Reranker, oracle, run


@pytest.mark.parametrize("check", check_reranker(TinyBlip2Reranker))
def test_the_contract(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("score", ["itc", "itm", "itm+itc"])
def test_scores_are_those_of_forward(
    score: str, exact_model: Any, tokenizer: Any, texts: cr.Collection, images: cr.Collection
) -> None:
    expected = np.array(
        [
            [oracle(exact_model, tokenizer, text, path, score) for path in images["path"]]
            for text in texts["text"]
        ]
    )
    params = {"model": exact_model, "tokenizer": tokenizer, "score": score}
    found = run(Blip2Reranker(**params), texts, images).to_similarity()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    turned = run(Blip2Reranker(**params), images, texts).to_similarity()
    np.testing.assert_allclose(turned, expected.T, atol=1e-5)


@pytest.mark.parametrize("options", [{"memory_budget": 4_000}, {"memory_budget": "20KB"}, {}])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_do_not_matter(
    batch_size: int,
    options: dict[str, Any],
    exact_backend: CountingBackend,
    texts: cr.Collection,
    images: cr.Collection,
) -> None:
    backend = exact_backend
    expected = run(Blip2Reranker(model=backend), texts, images).to_similarity()
    backend.matched.clear()
    small = Blip2Reranker(model=backend, batch_size=batch_size)
    np.testing.assert_allclose(
        run(small, texts, images, **options).to_similarity(), expected, atol=1e-5
    )
    assert sum(backend.matched) == expected.size
    assert max(backend.matched) <= batch_size


def test_an_image_is_seen_once(
    backend: CountingBackend, texts: cr.Collection, images: cr.Collection, tmp_path: Path
) -> None:
    twice = [*images["path"], *images["path"]]
    ids = [str(number) for number in range(len(twice))]
    gallery = cr.Collection(ids, "image", path=twice)
    reranker = Blip2Reranker(model=backend)
    run(reranker, texts, gallery, cache_folder=tmp_path, memory_budget="30KB")
    assert reranker.encoded_images == sum(backend.seen) == len(images)
    run(reranker, texts, images, cache_folder=tmp_path)
    again = Blip2Reranker(model=backend, score="itc", batch_size=2)
    run(again, images, texts, cache_folder=tmp_path)
    assert (sum(backend.seen), again.encoded_images) == (len(images), 0)


@pytest.mark.parametrize("budget", ["1GB", "30KB"], ids=["in memory", "in a folder"])
def test_without_a_cache_folder_the_object_remembers(
    budget: str, backend: CountingBackend, texts: cr.Collection, images: cr.Collection
) -> None:
    reranker = Blip2Reranker(model=backend)
    for _ in range(2):
        run(reranker, texts, images, memory_budget=budget)
    assert sum(backend.seen) == len(images)
    folder = None if reranker._folder is None else Path(reranker._folder.name)
    assert (folder is None) == (budget == "1GB")
    del reranker
    assert folder is None or not folder.exists()


def test_another_model_or_picture_is_seen_again(
    tokenizer: Any, texts: cr.Collection, images: cr.Collection, tmp_path: Path
) -> None:
    model = tiny_blip2.make_model()
    backend = CountingBackend(model, tokenizer)
    reranker = Blip2Reranker(model=backend)
    path = tmp_path / "picture.png"
    one = cr.Collection(["0"], "image", path=[str(path)])
    scores = []
    for picture in images["path"][:2]:
        path.write_bytes(Path(picture).read_bytes())
        scores.append(run(reranker, texts, one, cache_folder=tmp_path).to_similarity())
    assert sum(backend.seen) == 2
    before = reranker.fingerprint()
    model.vision_model.post_layernorm.bias.data.add_(0.5)
    scores.append(run(reranker, texts, one, cache_folder=tmp_path).to_similarity())
    assert sum(backend.seen) == 3
    assert reranker.fingerprint() != before
    assert all(np.abs(a - b).max() > 1e-3 for a, b in pairwise(scores))


def test_pairs_go_by_length_across_queries(backend: CountingBackend, images: cr.Collection) -> None:
    words = ["dog", "a red dog in the old boat", "a dog", "cat"] * 2
    queries = cr.Collection(list("abcdefgh"), "text", text=words)
    widths: list[int] = []
    plain = backend.itm_logits

    def noting(embeds: Any, tokens: Any) -> Any:
        widths.append(tokens.ids.shape[1])
        assert bool((tokens.lengths >= tokens.ids.shape[1] - 1).all()), "more than one length apart"
        return plain(embeds, tokens)

    backend.itm_logits = noting  # type: ignore[method-assign,assignment]
    run(Blip2Reranker(model=backend, batch_size=8), queries, images)
    assert widths == sorted(widths)


def test_a_text_without_a_word_keeps_its_place(
    backend: CountingBackend, images: cr.Collection
) -> None:
    queries = cr.Collection(["dog", "none"], "text", text=["a dog", " ...! "])
    lists = cr.Candidates.from_lists(
        dict.fromkeys(queries.ids, images.ids),
        scores=[np.arange(len(images), 0.0, -1.0)] * 2,
        query_ids=queries.ids,
        candidate_ids=images.ids,
    )
    stage = cr.Stage(Blip2Reranker(model=backend))
    found = cr.Pipeline(stage).rerank(lists, queries, images)
    assert [hit.id for hit in found["none"]] == list(images.ids)
    assert "no word" in str(found["none"][0].trace)
    assert [hit.id for hit in found["dog"]] != list(images.ids)


def test_texts_that_are_cut_are_counted_and_logged_once_aloud(
    backend: CountingBackend, images: cr.Collection, caplog: pytest.LogCaptureFixture
) -> None:
    queries = cr.Collection(["long", "short"], "text", text=["dog " * 40, "dog"])
    reranker = Blip2Reranker(model=backend, score="itc")
    with caplog.at_level(logging.INFO, logger="crossrank_blip2"):
        for _ in range(2):
            run(reranker, queries, images)
    assert reranker.cut_texts == 2
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "1 of 2 texts are longer than the 50 words and 35 tokens" in caplog.text


def test_progress_is_told(
    backend: CountingBackend, texts: cr.Collection, images: cr.Collection
) -> None:
    told: dict[str, list[tuple[int, int]]] = {}
    run(
        Blip2Reranker(model=backend, batch_size=3),
        texts,
        images,
        progress=lambda what, done, total: told.setdefault(what, []).append((done, total)),
    )
    pairs = len(texts) * len(images)
    for what, total in (("blip2: images", len(images)), ("blip2: pairs", pairs)):
        assert told[what][-1] == (total, total)
        assert told[what] == sorted(told[what])
        assert len(told[what]) > 2


@pytest.mark.parametrize("side", ["text", "path"])
def test_an_item_without_its_content_is_named(
    side: str, backend: CountingBackend, texts: cr.Collection, images: cr.Collection
) -> None:
    if side == "text":
        texts = texts.with_features(text=["a dog", None, *texts["text"][2:]])
    else:
        images = images.with_features(path=[images["path"][0], None, *images["path"][2:]])
    broken = texts if side == "text" else images
    with pytest.raises(InputError, match=f"the {side} of .* '{broken.ids[1]}' is None"):
        run(Blip2Reranker(model=backend), texts, images)
    assert not backend.seen


@pytest.mark.parametrize("score", ["itc", "itm", "itm+itc"])
@pytest.mark.parametrize("lost", [(1,), (0, 2)])
def test_pictures_that_cannot_be_read_are_abstained_from(
    tmp_path: Path,
    score: str,
    lost: tuple[int, ...],
    backend: CountingBackend,
    texts: cr.Collection,
    images: cr.Collection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Three broken files of 300 meant three more runs."""
    (tmp_path / "broken.png").write_bytes(b"no picture")
    given = [str(path) for path in images["path"]]
    for number, row in enumerate(lost):
        given[row] = str(tmp_path / ("broken.png", "gone.png")[number])
    broken = images.with_features(path=given)
    whole = run(Blip2Reranker(model=backend, score=score), texts, images)
    with pytest.raises(ImageError):
        run(Blip2Reranker(model=backend, score=score), texts, broken)
    lenient = Blip2Reranker(model=backend, score=score, on_picture="abstain")
    found = run(lenient, texts, broken)
    raw, expected = found.stages[0].raw, whole.stages[0].raw
    for text in range(len(texts)):
        of_row = dict(zip(found.index[text].tolist(), raw[text].tolist(), strict=True))
        before = dict(zip(whole.index[text].tolist(), expected[text].tolist(), strict=True))
        for row, value in of_row.items():
            if row in lost:
                assert np.isnan(value)
            else:
                assert value == pytest.approx(before[row], abs=1e-5)
    assert "broken.png" in caplog.text or "gone.png" in caplog.text
    assert lenient.fingerprint() == Blip2Reranker(model=backend, score=score).fingerprint()


class Watching(Blip2Reranker):
    """Notes what each intervention surrounds, and asks for boxes."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.watched: list[tuple[Any, Any]] = []
        self.open = False

    def image_features(self, images: cr.Collection) -> tuple[str, ...]:
        return ("boxes",)

    def extra_state(self, context: cr.Context, images: cr.Collection, rows: Any) -> Any:
        return [images["boxes"][row] for row in rows]

    def intervention(
        self, state: Any, image_rows: Any, image_embeds: Any
    ) -> AbstractContextManager[None]:
        return self._watched(state, image_rows, image_embeds)

    @contextmanager
    def _watched(self, state: Any, image_rows: Any, image_embeds: Any) -> Iterator[None]:
        assert len(state.extra) == len(state.images.rows)
        self.watched.append((image_rows, image_embeds))
        self.open = True
        yield
        self.open = False


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_an_intervention_surrounds_every_cross_attention(
    direction: str, tokenizer: Any, texts: cr.Collection, images: cr.Collection
) -> None:
    model = tiny_blip2.make_model()
    reranker = Watching(model=model, tokenizer=tokenizer, batch_size=5)
    own = dict(_embeds(CountingBackend(model, tokenizer), images))
    shuffled = images.take(np.random.default_rng(0).permutation(len(images)))
    calls: list[int] = []

    def hook(module: Any, args: Any, kwargs: Any) -> None:
        assert reranker.open, "a cross-attention outside an intervention"
        rows, embeds = reranker.watched[-1]
        calls.append(len(rows))
        assert len(rows) == len(kwargs["hidden_states"])
        for row, embed in zip(rows, embeds(np.arange(len(rows))), strict=True):
            np.testing.assert_allclose(embed, own[shuffled["path"][row]], atol=1e-5)

    hook_on = model.qformer.encoder.layer[0].crossattention
    hook_on.register_forward_pre_hook(hook, with_kwargs=True)
    sides = (texts, shuffled) if direction == "t2i" else (shuffled, texts)
    run(reranker, *sides)
    assert sum(calls) == len(images) + len(texts) * len(images)
    assert max(calls) == 5


@torch.no_grad()
def _embeds(backend: CountingBackend, images: cr.Collection) -> Iterator[tuple[str, torch.Tensor]]:
    for path in images["path"]:
        yield path, backend.image_embeds(backend.pixels([cr.open_image(Path(path))]))[0]


def test_features_that_a_subclass_reads_must_be_there(
    backend: CountingBackend, texts: cr.Collection, images: cr.Collection
) -> None:
    bare = images.take(range(len(images)), ["path"])
    with pytest.raises(cr.errors.MissingFeatureError, match="'boxes' of the gallery"):
        run(Watching(model=backend), texts, bare)


def test_memory_that_runs_out_makes_batches_smaller(
    backend: CountingBackend,
    texts: cr.Collection,
    images: cr.Collection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = run(Blip2Reranker(model=backend), texts, images).to_similarity()
    tight = CountingBackend(backend.model, backend._tokenizer, holds=3)
    with caplog.at_level(logging.WARNING, logger="crossrank_blip2"):
        found = run(Blip2Reranker(model=tight), texts, images).to_similarity()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert max(tight.matched) <= 3
    halvings = [r for r in caplog.records if "pairs of an image" in r.getMessage()]
    assert len(halvings) == 4, "32 → 16 → 8 → 4 → 2, found out once"


def test_memory_that_does_not_do_for_one_row_is_a_clear_error(
    backend: CountingBackend, texts: cr.Collection, images: cr.Collection
) -> None:
    none = CountingBackend(backend.model, backend._tokenizer, holds=0)
    with pytest.raises(PluginError, match="not enough memory for one of the images; give dtype="):
        run(Blip2Reranker(model=none), texts, images)


def test_vision_output_that_is_not_finite_is_named(
    tokenizer: Any, texts: cr.Collection, images: cr.Collection
) -> None:
    model = tiny_blip2.make_model()
    model.vision_model.post_layernorm.bias.data[0] = 1e6
    with pytest.raises(PluginError, match=r"picture-\d+.png is not finite in torch.float16; give"):
        run(Blip2Reranker(model=model, tokenizer=tokenizer, cache_dtype="float16"), texts, images)


def test_a_reranker_and_its_state_travel(
    model: Any, tokenizer: Any, texts: cr.Collection, images: cr.Collection, tmp_path: Path
) -> None:
    reranker = Blip2Reranker(model=model, tokenizer=tokenizer)
    expected = run(reranker, texts, images, cache_folder=tmp_path).to_similarity()
    again = pickle.loads(pickle.dumps(reranker))
    assert again.fingerprint() == reranker.fingerprint()
    found = run(again, texts, images, cache_folder=tmp_path).to_similarity()
    np.testing.assert_array_equal(found, expected)
    assert again.encoded_images == 0


def test_the_installed_name(model: Any, tokenizer: Any) -> None:
    params = {"model": model, "tokenizer": tokenizer, "score": "itm+itc"}
    assert isinstance(cr.Stage("blip2", params=params).scorer, Blip2Reranker)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"score": "itm-itc"}, "score is 'itm-itc'; give one of itc, itm, itm"),
        ({"batch_size": 0}, "batch_size is 0; give an integer of at least 1"),
        ({"batch_size": True}, "batch_size is True; give an integer"),
        ({"cache_budget": "a lot"}, "cache_budget is 'a lot'; give bytes"),
        ({"cache_dtype": "int8"}, "cache_dtype is 'int8'; give one of auto"),
        ({"dtype": "float64"}, "dtype is 'float64'; give one of float32"),
        ({"device": ""}, "device is ''"),
        ({"revision": 3}, "revision is 3"),
        ({"local_files_only": 1}, "local_files_only is 1; give true or false"),
    ],
)
def test_a_wrong_parameter_is_refused_at_once(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        Blip2Reranker(**params)
