"""What the reranker refuses, counts, shares and shows."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    BudgetError,
    ImageError,
    ParameterError,
)
from crossrank.testing import check_reranker
from crossrank_vlm import VlmReranker
from toys.vlm_oracle import Oracle, prompt

from .conftest import TEXTS, images, scored, texts


def test_answers_that_are_no_token(qwen3: Path, paths: list[str]) -> None:
    for answer, said in (("maybe", "is 5 pieces"), (10**6, "is no token: the vocabulary has")):
        with pytest.raises(ParameterError, match=said):
            scored(texts(), images(paths), model=qwen3, true=answer)


def test_several_answers_add_their_probabilities(qwen3: Path, paths: list[str]) -> None:
    found = scored(
        texts(), images(paths), model=qwen3, true=["yes", "Yes"], false=["no"], sigmoid=False
    )
    oracle = Oracle(qwen3)
    from crossrank.plugin.contents import Content

    text = prompt("qwen3_vl", "qwen3-vl", Content(TEXTS[0]), Content(None, Path(paths[0])))
    logits = oracle.logits(text, [Path(paths[0])])
    yes, also, no = oracle.tokenizer.convert_tokens_to_ids(["yes", "Yes", "no"])
    expected = torch.logsumexp(logits[[yes, also]], 0) - logits[no]
    assert found[0, 0] == pytest.approx(float(expected), abs=1e-5)


def test_templates(qwen3: Path, paths: list[str]) -> None:
    for template, lost in (("{{ query }}", "document"), ("{{ document }} yes?", "query")):
        with pytest.raises(ParameterError, match=f"the template leaves out the {lost}"):
            scored(texts(), images(paths), model=qwen3, template=template)
    with pytest.raises(ParameterError, match="cannot be filled in: TemplateSyntaxError"):
        scored(texts(), images(paths), model=qwen3, template="{{ query }} {{ document ")
    with pytest.raises(ParameterError, match="shows 0 pictures where there are 1"):
        blind = "{{ query }} {{ document | replace('<|image_pad|>', '') }}"
        scored(texts(), images(paths), model=qwen3, template=blind)
    mine = "{{ instruction }}: {{ document }} ? {{ query }}"
    found = scored(
        texts(), images(paths), model=qwen3, template=mine, instruction="look", sigmoid=False
    )
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    text = f"look: {image} ? {TEXTS[1]}"
    expected = Oracle(qwen3).difference(text, [Path(paths[2])], "yes", "no")
    assert found[1, 2] == pytest.approx(expected, abs=1e-5)


def test_a_query_may_bring_its_own_instruction(qwen3: Path, paths: list[str]) -> None:
    own = texts().with_features(instruction=["find it", "", "", ""])
    plain = scored(texts(), images(paths), model=qwen3)
    found = scored(own, images(paths), model=qwen3)
    asked = scored(texts(), images(paths), model=qwen3, instruction="find it")
    np.testing.assert_allclose(found[0], asked[0], atol=1e-6)
    np.testing.assert_allclose(found[1:], plain[1:], atol=1e-6)


def test_texts_over_the_limit_are_cut_counted_and_keep_the_template_s_end(
    qwen3: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = cr.Collection(["q"], "text", text=["dog " * 200])
    short = cr.Collection(["a"], "text", text=["a dog"])
    lists = cr.Candidates.from_lists({"a": ["q"]}, candidate_ids=["q"])
    stage = cr.Stage("vlm", params={"model": qwen3, "max_length": 400}, fusion=cr.Replace())
    with caplog.at_level(logging.WARNING):
        cr.Pipeline(stage).rerank(lists, short, long)
    assert "1 of 1 prompts are longer than 400 tokens" in caplog.text
    scorer: Any = stage.scorer
    assert scorer.cut_prompts == 1
    loaded = scorer.loaded("cpu", "float32")
    from crossrank.plugin.contents import Content
    from crossrank_vlm.prompts import Pair

    (made,) = loaded.prompter.prompts([Pair(Content("a dog"), Content("dog " * 200), "i")])
    assert len(made.ids) == 400
    assert loaded.tokenizer.decode(made.ids).endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_prompts_that_differ_in_their_picture_alone_are_written_once(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossrank.plugin.contents import Content
    from crossrank_vlm.prompts import Pair, Prompter

    stage: Any = cr.Stage("vlm", params={"model": checkpoint})
    prompter = stage.scorer.loaded("cpu", "float32").prompter
    shown = [
        Content(None, Path("a.png")),
        Content(None, Path("b.png")),
        Content("said", Path("a.png")),
    ]
    pairs = [
        Pair(Content(asked), document, instruction, ((), (count,)), ((), (number,)))
        for asked in ("a dog", "two cats")
        for instruction in ("i", "j")
        for count in (2, 3)
        for number, document in enumerate(shown)
    ]
    alone = [prompter.prompts([pair])[0] for pair in pairs]
    written: list[int] = []
    whole = Prompter._texts

    def counted(self: Any, pairs: Any) -> Any:
        written.append(len(pairs))
        return whole(self, pairs)

    monkeypatch.setattr(Prompter, "_texts", counted)
    together = prompter.prompts(pairs)
    assert written == [len(pairs) * 2 // 3]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        assert (one.pictures, one.first, one.cut) == (other.pictures, other.first, other.cut)


def test_the_image_token_in_a_text_is_no_picture(qwen3: Path, paths: list[str]) -> None:
    queries = cr.Collection(["q"], "text", text=["a <|image_pad|> dog"])
    plain = cr.Collection(["q"], "text", text=["a   dog"])
    np.testing.assert_allclose(
        scored(queries, images(paths), model=qwen3), scored(plain, images(paths), model=qwen3)
    )


def test_a_picture_that_cannot_be_read_is_named(qwen3: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"nothing")
    with pytest.raises(ImageError, match=r"torn\.jpg"):
        scored(texts(), images([str(torn)]), model=qwen3)


def test_large_pictures_are_seen_smaller_and_that_is_told_once(
    qwen3: Path, paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lists = cr.Candidates.from_lists({"t0": ["i0", "i1"]}, candidate_ids=images(paths).ids)
    stage = cr.Stage("vlm", params={"model": qwen3, "max_pixels": 256}, fusion=cr.Replace())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            cr.Pipeline(stage).rerank(lists, texts(), images(paths))
    assert caplog.text.count("have more pixels than max_pixels, and are seen smaller") == 1


def test_pixels_of_a_family_of_squares(tmp_path: Path, paths: list[str]) -> None:
    from toys.tiny_vlm import save_llava

    save_llava(tmp_path / "llava")
    with pytest.raises(ParameterError, match="keep a picture's shape"):
        scored(texts(), images(paths), model=tmp_path / "llava", max_pixels=64)


def test_each_picture_goes_through_the_tower_once_and_comes_back_from_the_cache(
    qwen3: Path, paths: list[str], tmp_path: Path
) -> None:
    queries, gallery = texts(), images(paths)
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    found = []
    for encoded in (len(paths), 0):
        stage = cr.Stage("vlm", params={"model": qwen3}, fusion=cr.Replace())
        rankings = cr.Pipeline(stage).rerank(lists, queries, gallery, cache_folder=tmp_path)
        scorer: Any = stage.scorer
        assert scorer.encoded_images == encoded
        found.append(rankings.to_similarity())
    np.testing.assert_array_equal(found[0], found[1])


def test_models_before_transformers_5_18_see_every_pair_s_picture_and_say_so_once(
    qwen3: Path,
    paths: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from crossrank_vlm import passes

    expected = scored(texts(), images(paths), model=qwen3)
    monkeypatch.setattr(passes, "_TAKES", {})
    monkeypatch.setattr(passes, "parameters_of", lambda kind: frozenset())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = scored(texts(), images(paths), model=qwen3)
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert caplog.text.count("does not take ready vision outputs") == 1
    with pytest.raises(ParameterError, match=r"evidence needs transformers 5\.18"):
        stage = cr.Stage("vlm", params={"model": qwen3})
        cr.Pipeline(stage).explain(texts(), images(paths), "t0", ["i0"])


def test_what_pairs_share_goes_through_the_model_once(
    qwen3: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossrank_vlm.passes import Passes

    tokens: list[int] = []
    forward = Passes._forward

    def counted(self: Any, ids: Any, *rest: Any) -> Any:
        tokens.append(ids.size)
        return forward(self, ids, *rest)

    monkeypatch.setattr(Passes, "_forward", counted)
    totals = {}
    for reuse in ("prefix", "vision"):
        tokens.clear()
        scored(texts(), images(paths), model=qwen3, preset="mono-qwen2", reuse=reuse)
        totals[reuse] = sum(tokens)
    assert totals["prefix"] < 0.9 * totals["vision"]


def test_memory_that_runs_out_makes_batches_smaller_then_an_error(
    qwen3: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossrank_vlm.passes import Passes

    batch = Passes._batch
    expected = scored(texts(), images(paths), model=qwen3)

    def most(count: int) -> None:
        def limited(self: Any, prompts: Any, places: Any, *rest: Any) -> Any:
            if len(places) > count:
                raise torch.cuda.OutOfMemoryError("none left")
            return batch(self, prompts, places, *rest)

        monkeypatch.setattr(Passes, "_batch", limited)

    most(1)
    np.testing.assert_allclose(scored(texts(), images(paths), model=qwen3), expected, atol=1e-6)
    most(0)
    with pytest.raises(BudgetError, match="not enough memory for one pair of"):
        scored(texts(), images(paths), model=qwen3)


def test_the_heat_map_is_the_gradient_s_over_the_patches(
    checkpoint: Path, paths: list[str]
) -> None:
    stage = cr.Stage("vlm", params={"model": checkpoint, "preset": "mono-qwen2"})
    (found,) = cr.Pipeline(stage).explain(texts(), images(paths), "t1", ["i0"])["vlm"]
    assert len(found.links) == (16 if checkpoint.name == "llava" else 12)
    assert sum(link.weight for link in found.links) == pytest.approx(1)
    assert all(link.weight >= 0 for link in found.links)
    boxes = np.array([link.candidate_box for link in found.links], np.float64)
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert found.links[0].query == TEXTS[1]
    json.dumps(found.to_dict(), allow_nan=False)
    (turned,) = cr.Pipeline(stage).explain(images(paths), texts(), "i0", ["t1"])["vlm"]
    assert turned.links[0].query_box is not None
    (none,) = cr.Pipeline(stage).explain(texts(), texts("d"), "t0", ["d1"])["vlm"]
    assert none.links == ()


def test_it_travels_and_is_told_by_what_decides_its_scores(qwen3: Path, tmp_path: Path) -> None:
    reranker = VlmReranker(model=qwen3)
    assert pickle.loads(pickle.dumps(reranker)).fingerprint() == reranker.fingerprint()
    assert VlmReranker(model=qwen3, batch_tokens=9).fingerprint() == reranker.fingerprint()
    for other in ({"preset": "lighton"}, {"instruction": "x"}, {"max_pixels": 256}):
        assert VlmReranker(model=qwen3, **other).fingerprint() != reranker.fingerprint()


def test_a_picture_that_its_camera_held_sideways(qwen3: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (24, 40, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "upright.png")
    both = [str(tmp_path / name) for name in ("turned.png", "upright.png")]
    found = scored(texts(), images(both), model=qwen3)
    np.testing.assert_allclose(found[:, 0], found[:, 1], atol=1e-6)


def test_the_conformance_kit(qwen3: Path, paths: list[str]) -> None:
    queries, gallery = texts("q"), images(paths * 2, "c")
    checks = check_reranker(VlmReranker, queries=queries, gallery=gallery, model=qwen3)
    for check in checks:
        check()
