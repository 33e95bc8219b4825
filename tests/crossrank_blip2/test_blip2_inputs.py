"""Texts and pictures as BLIP-2 was trained on them; the converter from LAVIS."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crossrank.errors import InputError
from crossrank_blip2 import backend_of, convert_lavis_state_dict
from crossrank_blip2.qformer_backend import MEAN, STD, to_pixels
from crossrank_blip2.texts import MOST_TOKENS, prepare_text, tokenise
from toys import tiny_blip2
from toys.blip2 import lavis_state, noise, without_key_bias
from toys.tiny_tokenizers import transformers


@pytest.mark.parametrize(
    ("text", "prepared", "cut"),
    [
        ("A Dog.", "a dog", False),
        ('two "big" cats!!  (on #1)', "two big cats on 1", False),
        ("a:b;c~d*e", "a b c d e", False),
        ("it's 50%, isn't it?", "it's 50%, isn't it?", False),
        ("\n a\t dog \n", "a dog", False),
        ("...", "", False),
        (" ".join(["dog"] * 50), " ".join(["dog"] * 50), False),
        (" ".join(["dog"] * 51), " ".join(["dog"] * 50), True),
    ],
)
def test_texts_are_written_as_in_training(text: str, prepared: str, cut: bool) -> None:
    assert prepare_text(text) == (prepared, cut)


@given(st.text())
def test_preparing_twice_changes_nothing(text: str) -> None:
    prepared, _ = prepare_text(text)
    assert not set(prepared) & set('.!"()*#:;~')
    assert len(prepared.split(" ")) <= 50
    again, _ = prepare_text(prepared)
    # İ and a few others become two letters, of which one has a lower case of its own
    assert again == " ".join(prepared.lower().split()[:50])


def test_texts_that_are_too_long_are_cut_and_counted(tokenizer: Any) -> None:
    fits, of_tokens, of_words = ("dog " * count for count in (33, 34, 60))
    tokens = tokenise(tokenizer, [fits, of_tokens, of_words, "a dog"])
    assert tokens.cut == 2
    assert tokens.lengths.tolist() == [35, MOST_TOKENS, MOST_TOKENS, 4]
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    assert set(tokens.ids[:, 0].tolist()) == {begin}
    assert [
        int(row[length - 1]) for row, length in zip(tokens.ids, tokens.lengths, strict=True)
    ] == [end] * 4


def test_taking_texts_drops_padding_that_all_have(tokenizer: Any) -> None:
    tokens = tokenise(tokenizer, ["a dog", "two red cats on the grass", "a cat"])
    taken = tokens.take([2, 0])
    assert taken.ids.shape == (2, 4)
    assert len(tokens.take([])) == 0
    assert len(tokenise(tokenizer, [])) == 0


@pytest.mark.parametrize("size", [(50, 30), (33, 90), (3, 200), (64, 64)])
def test_pictures_are_squashed_as_the_checkpoints_processor_does(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    old = int(transformers.__version__.partition(".")[0]) < 5
    made = transformers.BlipImageProcessor if old else transformers.BlipImageProcessorPil
    processor = made(size={"height": 48, "width": 48}, image_mean=MEAN, image_std=STD)
    expected = processor(picture, return_tensors="np")["pixel_values"][0]
    found = to_pixels([picture, picture], 48)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[1].numpy(), expected, atol=1e-5)


@torch.no_grad()
def test_a_converted_lavis_state_gives_the_same_outputs(tokenizer: Any) -> None:
    original = without_key_bias(tiny_blip2.make_model(seed=1))
    state = lavis_state(original)
    assert "visual_encoder.blocks.1.attn.q_bias" in state
    assert "Qformer.bert.encoder.layer.2.crossattention.self.key.weight" in state
    made = tiny_blip2.make_model(seed=2)
    made.load_state_dict(convert_lavis_state_dict(state))  # strict: no name is missing or unknown
    pixels = noise(3)
    expected, found = (backend_of(each, tokenizer) for each in (original, made))
    tokens = expected.tokenise(["a dog", "two red cats", "a man"])
    embeds = expected.image_embeds(pixels)
    torch.testing.assert_close(found.image_embeds(pixels), embeds)
    torch.testing.assert_close(found.image_queries(embeds), expected.image_queries(embeds))
    torch.testing.assert_close(found.text_embedding(tokens), expected.text_embedding(tokens))
    torch.testing.assert_close(
        found.itm_logits(embeds, tokens), expected.itm_logits(embeds, tokens)
    )


def test_a_whole_lavis_checkpoint_is_converted_too() -> None:
    state = lavis_state(without_key_bias(tiny_blip2.make_model()))
    assert (
        convert_lavis_state_dict({"model": state}).keys() == convert_lavis_state_dict(state).keys()
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"visual_encoder.transformer.weight": torch.ones(1)}, "has no weight 'visual_encoder.tr"),
        ({"t5_proj.weight": torch.ones(1)}, r"no weight 't5_proj.weight'; give the state of"),
        ({"visual_encoder.blocks.9.attn.v_bias": torch.ones(1)}, "block 9 .* only one of q_bias"),
    ],
)
def test_a_state_of_another_model_is_refused(change: dict[str, Any], says: str) -> None:
    state = lavis_state(without_key_bias(tiny_blip2.make_model()))
    with pytest.raises(InputError, match=says):
        convert_lavis_state_dict(state | change)


def test_a_state_without_tensors_is_refused() -> None:
    with pytest.raises(InputError, match="holds no tensors"):
        convert_lavis_state_dict({"epoch": 3})


def test_importing_the_package_loads_neither_torch_nor_transformers() -> None:
    code = "import crossrank_blip2, sys; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
