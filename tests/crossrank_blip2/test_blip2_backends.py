"""The adapters against ``forward()``, in every setting; what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crossrank.errors import InputError
from crossrank_blip2 import Backend, LavisBackend, Tokens, TransformersBackend, backend_of
from toys import tiny_blip2
from toys.blip2 import LavisShaped, noise
from toys.tiny_tokenizers import transformers

TEXTS = ("A dog.", "two red cats on the grass", "a man with an old hat in a boat", "wet")

SDPA = pytest.mark.skipif(
    transformers.__version__.startswith("4."), reason="transformers 4 has only the eager Q-Former"
)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def everything(backend: Backend, pixels: Tensor, tokens: Tokens) -> list[Tensor]:
    embeds = backend.image_embeds(pixels)
    return [
        embeds,
        backend.image_queries(embeds),
        backend.text_embedding(tokens),
        backend.itm_logits(embeds, tokens),
    ]


def forward(model: Any, pixels: Tensor, tokens: Tokens, *, itm: bool) -> Any:
    """Call the model's own forward, with image tokens in front where it drops them."""
    ids, mask = tokens.ids, tokens.mask
    index = model.config.image_token_index
    if index is not None:
        ids = torch.cat([torch.full((len(ids), tiny_blip2.QUERIES), index), ids], dim=1)
        mask = torch.cat([mask.new_ones(len(mask), tiny_blip2.QUERIES), mask], dim=1)
    return model(
        pixel_values=pixels,
        input_ids=ids,
        attention_mask=mask,
        use_image_text_matching_head=itm,
    ).logits_per_image


@pytest.mark.parametrize("index", [None, 7])
@pytest.mark.parametrize("attention", ["eager", pytest.param("sdpa", marks=SDPA)])
@torch.no_grad()
def test_the_adapter_computes_what_forward_does(
    index: int | None, attention: str, tokenizer: Any
) -> None:
    model = tiny_blip2.make_model(image_token_index=index, attention=attention)
    backend = TransformersBackend(model, tokenizer)
    tokens, pixels = backend.tokenise(TEXTS), noise(len(TEXTS))
    embeds = backend.image_embeds(pixels)
    contrasts = torch.einsum(
        "nqd,md->nmq", backend.image_queries(embeds), backend.text_embedding(tokens)
    ).amax(dim=2)
    close(contrasts, forward(model, pixels, tokens, itm=False))
    logits = backend.itm_logits(embeds, tokens)
    close(logits, forward(model, pixels, tokens, itm=True)[:, 1])
    assert logits.std() > 0.05, "the toy tells nothing apart"


@SDPA
@torch.no_grad()
def test_eager_and_sdpa_are_the_same(tokenizer: Any) -> None:
    made = [
        TransformersBackend(tiny_blip2.make_model(attention=each), tokenizer)
        for each in ("eager", "sdpa")
    ]
    tokens, pixels = made[0].tokenise(TEXTS), noise(len(TEXTS))
    for eager, sdpa in zip(*(everything(each, pixels, tokens) for each in made), strict=True):
        close(eager, sdpa)


@torch.no_grad()
def test_a_batch_of_one_is_a_batch_of_many(backend: Any) -> None:
    tokens, pixels = backend.tokenise(TEXTS), noise(len(TEXTS))
    together = everything(backend, pixels, tokens)
    for row in range(len(TEXTS)):
        alone = everything(backend, pixels[row : row + 1], tokens.take([row]))
        for one, many in zip(alone, together, strict=True):
            close(one[0], many[row])


@torch.no_grad()
def test_rows_for_contrast_have_unit_length(backend: Any) -> None:
    embeds = backend.image_embeds(noise(2))
    queries = backend.image_queries(embeds)
    assert embeds.shape[1:] == backend.embeds_shape == (17, tiny_blip2.WIDTH)
    assert queries.shape == (2, tiny_blip2.QUERIES, 12)
    words = backend.text_embedding(backend.tokenise(TEXTS[:1]))
    for rows in (queries, words):
        torch.testing.assert_close(rows.norm(dim=-1), torch.ones(rows.shape[:-1]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_gives_float32_close_by(dtype: torch.dtype, tokenizer: Any) -> None:
    full = TransformersBackend(tiny_blip2.make_model(), tokenizer)
    half = TransformersBackend(tiny_blip2.make_model().to(dtype), tokenizer)
    tokens, pixels = full.tokenise(TEXTS), noise(len(TEXTS))
    exact, rounded = (everything(each, pixels, tokens) for each in (full, half))
    assert rounded[0].dtype == half.dtype == dtype
    for one, other in zip(exact[1:], rounded[1:], strict=True):
        assert other.dtype == torch.float32
        assert 1e-7 < (one - other).abs().max() < 0.3


def test_a_model_in_training_mode_is_taken_out_of_it(tokenizer: Any) -> None:
    model = tiny_blip2.make_model().train()
    TransformersBackend(model, tokenizer)
    assert not any(module.training for module in model.modules())


@torch.no_grad()
def test_a_model_of_lavis_shape_gives_the_same(model: Any, tokenizer: Any) -> None:
    ours, theirs = backend_of(model, tokenizer), backend_of(LavisShaped(model, tokenizer))
    assert isinstance(ours, TransformersBackend)
    assert isinstance(theirs, LavisBackend)
    assert ours.image_size == theirs.image_size == tiny_blip2.IMAGE
    assert (theirs.dtype, theirs.device.type) == (torch.float32, "cpu")
    assert ours.embeds_shape == theirs.embeds_shape
    assert ours.fingerprint() != theirs.fingerprint()
    tokens, pixels = theirs.tokenise(TEXTS), noise(len(TEXTS))
    for one, other in zip(
        everything(ours, pixels, tokens), everything(theirs, pixels, tokens), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "missing", ["ln_vision", "query_tokens", "vision_proj", "text_proj", "itm_head", "tokenizer"]
)
def test_a_lavis_model_that_lacks_an_attribute(missing: str, model: Any, tokenizer: Any) -> None:
    shaped = LavisShaped(model, tokenizer)
    delattr(shaped, missing)
    with pytest.raises(InputError, match=f"LavisShaped has no attribute '{missing}'"):
        backend_of(shaped)


def test_a_lavis_model_without_its_text_layers(tokenizer: Any) -> None:
    shaped = LavisShaped(tiny_blip2.make_model(), tokenizer)
    bert: Any = shaped.Qformer.bert
    del bert.encoder.layer[0].intermediate
    with pytest.raises(InputError, match=r"no feed-forward layers for text"):
        backend_of(shaped)


def test_a_model_without_its_text_layers(tokenizer: Any) -> None:
    config = tiny_blip2.make_config()
    config.qformer_config.use_qformer_text_input = False
    model = transformers.Blip2ForImageTextRetrieval(config)
    with pytest.raises(InputError, match=r"layer\[0\]\.intermediate.*'qformer_text_input'"):
        backend_of(model, tokenizer)


@pytest.mark.parametrize("shape", [(2, 3, 40, 32), (2, 3, 40, 40), (3, 32, 32)])
def test_pictures_of_another_size_than_the_config_says(
    shape: tuple[int, ...], model: Any, tokenizer: Any
) -> None:
    for made in (backend_of(model, tokenizer), backend_of(LavisShaped(model, tokenizer))):
        with pytest.raises(InputError, match=r"config says \[B, 3, 32, 32\]; resize"):
            made.image_embeds(torch.zeros(shape))


def test_a_tokenizer_with_more_words_than_the_model(model: Any, tokenizer: Any) -> None:
    class Other:
        def __call__(self, texts: list[str], **options: Any) -> Any:
            found = tokenizer(texts, **options)
            if "return_tensors" in options:
                found["input_ids"] = found["input_ids"] + 30_000
            return found

    with pytest.raises(InputError, match=r"knows only \d+; give tokenizer="):
        backend_of(model, Other()).tokenise(["a dog"])


def test_something_else_than_a_model(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="a Linear is no BLIP-2"):
        backend_of(torch.nn.Linear(2, 2), tokenizer)
    with pytest.raises(InputError, match="the tokenizer is a int"):
        backend_of(tiny_blip2.make_model(), 3)
