"""What the encoder gives, against open_clip's own functions and against arithmetic by hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.testing import check_encoder
from crossrank_openclip import OpenClipEncoder, open_clip
from toys import tiny_openclip
from toys.tiny_openclip import KINDS, needs_open_clip

pytestmark = needs_open_clip

Folder = Callable[[str], Path]
Loaded = Callable[[str], OpenClipEncoder]


def own(folder: Path) -> tuple[Any, Any, Any]:
    """Return open_clip's own model, transform and tokenizer of a folder."""
    module = open_clip()
    tiny_openclip.register()
    name = f"local-dir:{folder}"
    model, _, transform = module.create_model_and_transforms(name)
    return model.eval(), transform, module.get_tokenizer(name)


def encode(encoder: OpenClipEncoder, items: list[cr.Item], modality: str) -> Any:
    names = ("embedding", "tokens") if modality == "image" else ("embedding", "tokens", "words")
    extra = ("regions", "token_boxes") if modality == "image" else ("token_text",)
    return encoder.encode_batch(items, modality, (*names, *extra))


def unit(rows: Any) -> NDArray[np.float64]:
    values = np.asarray(rows, np.float64)
    normed: NDArray[np.float64] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return normed


@pytest.mark.parametrize("kind", KINDS)
def test_the_embeddings_are_open_clips_own(
    kind: str, checkpoint: Folder, encoder: Loaded, texts: list[cr.Item], pictures: list[cr.Item]
) -> None:
    model, transform, tokenizer = own(checkpoint(kind))
    with torch.no_grad():
        # the very long one is cut before it is resized, which open_clip does not do
        images = torch.stack([transform(item.image) for item in pictures])
        seen = model.encode_image(images).numpy()
        said = model.encode_text(tokenizer([str(item.text) for item in texts])).numpy()
    found = encode(encoder(kind), pictures, "image")["embedding"]
    np.testing.assert_allclose(found, unit(seen), atol=1e-6)
    assert found.dtype == np.float32
    found = encode(encoder(kind), texts, "text")["embedding"]
    np.testing.assert_allclose(found, unit(said), atol=1e-6)
    for rows in (seen, said):
        assert np.abs(unit(rows)[0] - unit(rows)[1]).max() > 1e-3, "the tiny model sees nothing"


@pytest.mark.parametrize("kind", ["vit_mean", "fastvit"])
def test_patches_pooled_as_the_model_does_are_the_embedding(
    kind: str, encoder: Loaded, pictures: list[cr.Item]
) -> None:
    found = encode(encoder(kind), pictures, "image")
    model = encoder(kind)._loaded().model
    for n in range(len(pictures)):
        states = found["regions"][n]
        if kind == "vit_mean":
            raw = norm(states, model.visual.ln_post) @ array(model.visual.proj)
        else:
            head = model.visual.trunk.head.fc
            raw = states.astype(np.float64) @ array(head.weight).T + array(head.bias)
        np.testing.assert_allclose(found["tokens"][n], unit(raw), atol=1e-5)
        np.testing.assert_allclose(unit(raw.mean(axis=0)), found["embedding"][n], atol=1e-5)


def test_the_class_token_pooled_like_a_patch_is_the_embedding(
    encoder: Loaded, pictures: list[Any]
) -> None:
    found = encode(encoder("vit"), pictures, "image")
    visual = encoder("vit")._loaded().model.visual
    images = torch.stack(
        [
            torch.from_numpy(encoder("vit")._loaded().preprocessing.apply(item.image))
            for item in pictures
        ]
    )
    with torch.no_grad():
        states = visual.transformer(visual._embeds(images)).numpy()
    raw = norm(states, visual.ln_post) @ array(visual.proj)
    np.testing.assert_allclose(unit(raw[:, 0]), found["embedding"], atol=1e-5)
    np.testing.assert_allclose(unit(raw[:, 1:]).reshape(-1, 24), found["tokens"].flat, atol=1e-5)


def test_the_attention_pool_of_a_resnet_is_a_mix_of_its_cells(
    encoder: Loaded, pictures: list[cr.Item]
) -> None:
    """With queries of zero every head looks everywhere alike: the mix is the mean of values."""
    pool = encoder("resnet")._loaded().model.visual.attnpool
    kept = [each.clone() for each in (pool.q_proj.weight, pool.q_proj.bias)]
    with torch.no_grad():
        pool.q_proj.weight.zero_()
        pool.q_proj.bias.zero_()
        found = encode(encoder("resnet"), pictures, "image")
        pool.q_proj.weight.copy_(kept[0])
        pool.q_proj.bias.copy_(kept[1])
    positions = array(pool.positional_embedding)
    for n in range(len(pictures)):
        cells = found["regions"][n].astype(np.float64)
        first = (cells - positions[1:]).mean(axis=0) + positions[0]
        values = np.vstack([first, cells]) @ array(pool.v_proj.weight).T + array(pool.v_proj.bias)
        out = values @ array(pool.c_proj.weight).T + array(pool.c_proj.bias)
        np.testing.assert_allclose(found["tokens"][n], unit(out[1:]), atol=1e-5)
        np.testing.assert_allclose(found["embedding"][n], unit(out.mean(axis=0)), atol=1e-5)


def test_an_attention_pool_of_timm_gives_a_patch_its_value(
    encoder: Loaded, pictures: list[cr.Item]
) -> None:
    found = encode(encoder("siglip"), pictures, "image")
    pool = encoder("siglip")._loaded().model.visual.trunk.attn_pool
    with torch.no_grad():
        for n in range(len(pictures)):
            for place in (0, 5):
                alone = pool(torch.from_numpy(found["regions"][n][place])[None, None])
                token = found["tokens"][n][place]
                np.testing.assert_allclose(token, unit(alone)[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "fastvit"])
def test_words_are_projected_like_the_end_of_the_text(
    kind: str, checkpoint: Folder, encoder: Loaded
) -> None:
    # without a causal mask a word's state depends on the rest, so the texts are taken as they are
    found = encode(encoder(kind), [cr.Item("0", text="two cats on grass")], "text")
    assert found["token_text"] == [["two", "cats", "on", "grass"]]
    assert found["tokens"].lengths.tolist() == [4]
    model, _, tokenizer = own(checkpoint(kind))
    tower = getattr(model, "text", model)
    ids = tokenizer(["two cats on grass"])
    with torch.no_grad():
        hidden = tower.token_embedding(ids) + tower.positional_embedding
        states = tower.ln_final(tower.transformer(hidden, attn_mask=tower.attn_mask)).numpy()[0]
    np.testing.assert_allclose(found["words"][0], states[1:5], atol=1e-5)
    projected = states.astype(np.float64) @ array(tower.text_projection)
    np.testing.assert_allclose(found["tokens"][0], unit(projected[1:5]), atol=1e-5)
    np.testing.assert_allclose(found["embedding"][0], unit(projected[5]), atol=1e-5)


def test_words_of_a_transformers_tower_average_to_the_embedding(encoder: Loaded) -> None:
    found = encode(encoder("hf_text"), [cr.Item("0", text="two cats runs")], "text")
    assert found["token_text"] == [["two", "cats", "runs"]]
    tower = encoder("hf_text")._loaded().model.text
    tokens = found["words"][0].astype(np.float64) @ array(tower.proj.weight).T
    np.testing.assert_allclose(found["tokens"][0], unit(tokens), atol=1e-5)
    ids = encoder("hf_text")._loaded().tokenizer(["two cats runs"])
    with torch.no_grad():
        mask = (ids != 0).long()
        states = tower.transformer(input_ids=ids, attention_mask=mask).last_hidden_state[0, :5]
    mean = array(states).mean(axis=0) @ array(tower.proj.weight).T
    np.testing.assert_allclose(found["embedding"][0], unit(mean), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_features_do_not_depend_on_the_batch(
    kind: str, encoder: Loaded, texts: list[cr.Item], pictures: list[cr.Item]
) -> None:
    for items, modality in ((texts, "text"), (pictures, "image")):
        together = encode(encoder(kind), items, modality)
        for n, item in enumerate(items):
            alone = encode(encoder(kind), [item], modality)
            np.testing.assert_allclose(alone["embedding"][0], together["embedding"][n], atol=1e-5)
            np.testing.assert_allclose(alone["tokens"][0], together["tokens"][n], atol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "fastvit"])
def test_every_promise_of_an_encoder(kind: str, checkpoint: Folder) -> None:
    broken = []
    for check in check_encoder(OpenClipEncoder, model=f"local-dir:{checkpoint(kind)}"):
        try:
            check()
        except AssertionError as error:
            broken.append(f"{check.__name__}: {error}")
    assert not broken, "\n".join(broken)


def test_a_prompt_is_put_around_every_text(checkpoint: Folder, encoder: Loaded) -> None:
    satellite = OpenClipEncoder(
        model=f"local-dir:{checkpoint('vit')}", prompt="a satellite photo of {}"
    )
    found = encode(satellite, [cr.Item("0", text="grass")], "text")
    plain = encode(encoder("vit"), [cr.Item("0", text="a satellite photo of grass")], "text")
    np.testing.assert_array_equal(found["embedding"], plain["embedding"])
    assert satellite.fingerprint() != encoder("vit").fingerprint()


def test_texts_that_are_too_long_are_counted_and_logged(
    checkpoint: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = OpenClipEncoder(model=f"local-dir:{checkpoint('vit')}")
    fits, long = (cr.Item(str(count), text=" ".join(["dog"] * count)) for count in (14, 15))
    with caplog.at_level(logging.INFO, logger="crossrank_openclip"):
        found = encode(encoder, [fits, long], "text")
    assert encoder.cut_texts == 1
    assert found["tokens"].lengths.tolist() == [14, 14]
    assert "1 of 2 texts are longer than the 16 tokens" in caplog.text


@pytest.mark.parametrize(
    ("kind", "dtype"), [("vit", "bfloat16"), ("vit", "float16"), ("fastvit", "float16")]
)
def test_half_precision_weights_give_float32_features_close_by(
    kind: str, dtype: str, checkpoint: Folder, encoder: Loaded, pictures: list[cr.Item]
) -> None:
    halved = OpenClipEncoder(model=f"local-dir:{checkpoint(kind)}", dtype=dtype)
    half = encode(halved, pictures, "image")
    full = encode(encoder(kind), pictures, "image")
    assert half["embedding"].dtype == half["tokens"].dtype == np.float32
    assert ((half["embedding"] * full["embedding"]).sum(axis=1) > 0.98).all()
    assert np.abs(half["embedding"] - full["embedding"]).max() > 1e-6, "computed in float32"


def array(values: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = values.detach().double().numpy()
    return found


def norm(states: Any, layer: Any) -> NDArray[np.float64]:
    values = np.asarray(states, np.float64)
    centred = values - values.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt(values.var(axis=-1, keepdims=True) + layer.eps)
    normed: NDArray[np.float64] = scaled * array(layer.weight) + array(layer.bias)
    return normed
