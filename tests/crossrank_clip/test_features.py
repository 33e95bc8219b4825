"""What the encoder gives, against the model's own methods and against arithmetic by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank_clip.encoder import ClipEncoder
from toys import tiny_clip
from toys.clip_oracle import (
    FAMILIES,
    LINEAR,
    SIGLIP,
    encode,
    gelu,
    layer_norm,
    linear,
    load,
    numbers,
    pixels,
    pooled,
    token_ids,
    unit,
)
from toys.tiny_tokenizers import LONGEST_TEXT, save_sentencepiece_tokenizer, transformers

Folder = Callable[[str], Path]
Loaded = Callable[[str], ClipEncoder]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_is_get_image_features(
    family: str, checkpoint: Folder, encoder: Loaded, pictures: list[cr.Item]
) -> None:
    folder = checkpoint(family)
    expected = pooled(load(folder).get_image_features(**pixels(folder, pictures)))
    found = encode(encoder(family), pictures, "image")["embedding"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3, "the tiny model sees no difference"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_is_get_text_features(
    family: str, checkpoint: Folder, encoder: Loaded, texts: list[cr.Item]
) -> None:
    if family == "chinese_clip" and transformers.__version__.startswith("4."):
        pytest.skip("its get_text_features raises there: it projects a pooler that is None")
    folder = checkpoint(family)
    expected = pooled(load(folder).get_text_features(**token_ids(folder, texts, family)))
    found = encode(encoder(family), texts, "text")["embedding"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3, "the tiny model sees no difference"


@pytest.mark.parametrize("family", LINEAR)
def test_patches_go_through_the_last_norm_and_the_projection(
    family: str, checkpoint: Folder, encoder: Loaded, pictures: list[cr.Item]
) -> None:
    folder = checkpoint(family)
    model = load(folder)
    states = model.vision_model(pixels(folder, pictures)["pixel_values"]).last_hidden_state
    patches = states.detach().numpy().astype(np.float64)[:, 1:]
    normed = layer_norm(patches, model.vision_model.post_layernorm)
    expected = unit(linear(normed, model.visual_projection))
    found = encode(encoder(family), pictures, "image")
    assert found["tokens"].lengths.tolist() == [16] * len(pictures)
    np.testing.assert_allclose(found["tokens"].flat, expected.reshape(-1, 12), atol=1e-5)
    np.testing.assert_allclose(found["regions"].flat, patches.reshape(-1, 16), atol=1e-5)


@pytest.mark.parametrize("family", SIGLIP)
def test_siglip_patches_go_through_the_value_path_of_the_pooling_head(
    family: str, checkpoint: Folder, encoder: Loaded, pictures: list[cr.Item]
) -> None:
    head = load(checkpoint(family)).vision_model.head
    found = encode(encoder(family), pictures, "image")
    values = slice(2 * tiny_clip.HIDDEN, None)  # queries and keys come first
    weight = numbers(head.attention, "in_proj_weight")[values]
    bias = numbers(head.attention, "in_proj_bias")[values]
    rows = found["regions"].flat.astype(np.float64)
    attended = linear(rows @ weight.T + bias, head.attention.out_proj)
    hidden = gelu(linear(layer_norm(attended, head.layernorm), head.mlp.fc1))
    expected = unit(attended + linear(hidden, head.mlp.fc2))
    np.testing.assert_allclose(found["tokens"].flat, expected, atol=1e-5)


def test_a_siglip_picture_of_one_patch_is_its_own_token(tmp_path: Path) -> None:
    folder = tiny_clip.build("siglip2", tmp_path / "one", max_num_patches=1)
    item = cr.Item("0", image=Image.radial_gradient("L").resize((9, 9)))
    found = encode(ClipEncoder(model=folder), [item], "image")
    np.testing.assert_allclose(found["tokens"][0], found["embedding"], atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_go_through_the_projection_and_special_tokens_are_left_out(
    family: str, checkpoint: Folder, encoder: Loaded, texts: list[cr.Item]
) -> None:
    folder = checkpoint(family)
    model = load(folder)
    states = model.text_model(**token_ids(folder, texts, family)).last_hidden_state
    rows = states.detach().numpy().astype(np.float64)
    projected = unit(
        linear(rows, model.text_model.head if family in SIGLIP else model.text_projection)
    )
    found = encode(encoder(family), texts, "text")
    first = 0 if family in SIGLIP else 1  # SigLIP's texts have an end, but no begin token
    for n, (tokens, words) in enumerate(zip(found["tokens"], found["words"], strict=True)):
        span = slice(first, first + len(tokens))
        np.testing.assert_allclose(tokens, projected[n, span], atol=1e-5)
        np.testing.assert_allclose(words, rows[n, span], atol=1e-5)
        assert len(found["token_text"][n]) == len(tokens)
    # the third text fills all places of the model
    assert found["tokens"].lengths[:3].tolist() == [6, 2, LONGEST_TEXT - 1 - first]


@pytest.mark.parametrize("family", FAMILIES)
def test_token_text_says_what_each_token_stands_for(
    family: str, encoder: Loaded, texts: list[cr.Item]
) -> None:
    said = encode(encoder(family), texts, "text")["token_text"]
    assert said[0] == ["a", "dog", "runs", "on", "the", "grass"]
    assert [word.lower() for word in said[1]] == ["two", "cats"]
    assert "".join(said[3]) == "anox,adog!"


def test_chinese_text_is_cut_into_characters(encoder: Loaded) -> None:
    found = encode(encoder("chinese_clip"), [cr.Item("0", text="一只狗")], "text")
    assert found["token_text"] == [["一", "只", "狗"]]
    assert found["tokens"].lengths.tolist() == [3]


def test_a_sentencepiece_tokenizer_is_read_as_well(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="SigLIP's own tokenizer needs sentencepiece")
    folder = tiny_clip.build("siglip", tmp_path / "siglip")
    save_sentencepiece_tokenizer(folder)
    item = cr.Item("0", text="A dog, runs!")
    found = encode(ClipEncoder(model=folder), [item], "text")
    # it drops punctuation and knows no word, only letters
    assert "".join(found["token_text"][0]) == "adogruns"
    assert found["tokens"].lengths.tolist() == [len(found["token_text"][0])]


def test_only_what_is_asked_for_is_returned(encoder: Loaded, pictures: list[cr.Item]) -> None:
    found = dict(encoder("clip").encode_batch(pictures, "image", ("size", "token_boxes")))
    assert list(found) == ["size", "token_boxes"]
    assert np.asarray(found["size"])[:2].tolist() == [[50, 30], [33, 90]]
