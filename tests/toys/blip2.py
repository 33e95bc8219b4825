"""A backend that counts and fails at will, a model of LAVIS's shape, and an oracle for scores."""

from __future__ import annotations

import re
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import crossrank as cr
from crossrank_blip2 import Blip2Reranker, Tokens, TransformersBackend
from toys import tiny_blip2


class CountingBackend(TransformersBackend):
    """Notes how many rows each call got, and runs out of memory beyond some number of them."""

    def __init__(self, model: Any, tokenizer: Any, holds: int = 1000) -> None:
        super().__init__(model, tokenizer)
        self.seen: list[int] = []
        self.matched: list[int] = []
        self.read: list[int] = []
        self.holds = holds
        self.dies_at = 1 << 30

    def image_embeds(self, pixels: Tensor) -> Tensor:
        self._note(self.seen, len(pixels))
        if sum(self.seen) > self.dies_at:
            raise KeyboardInterrupt
        return super().image_embeds(pixels)

    def text_embedding(self, tokens: Tokens) -> Tensor:
        self._note(self.read, len(tokens))
        return super().text_embedding(tokens)

    def itm_logits(self, image_embeds: Tensor, tokens: Tokens) -> Tensor:
        assert len(image_embeds) == len(tokens)
        self._note(self.matched, len(tokens))
        return super().itm_logits(image_embeds, tokens)

    def _note(self, calls: list[int], rows: int) -> None:
        if rows > self.holds:
            raise torch.cuda.OutOfMemoryError(f"{rows} rows")
        calls.append(rows)


@torch.no_grad()
def oracle(model: Any, tokenizer: Any, text: str, path: str, score: str) -> float:
    """Score one pair by ``forward()``, in plain steps."""
    words = re.sub(r'[.!"()*#:;~]', " ", text.lower())
    inputs = tokenizer(words, truncation=True, max_length=35, return_tensors="pt")
    size = model.config.vision_config.image_size
    picture = cr.open_image(Path(path)).resize((size, size), 3)
    values = np.asarray(picture, np.float64) / 255
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    pixels = torch.from_numpy(((values - mean) / std).transpose(2, 0, 1)[None])
    pixels = pixels.to(model.query_tokens.dtype)
    total = 0.0
    for name in score.split("+"):
        found = model(
            pixel_values=pixels,
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            use_image_text_matching_head=name == "itm",
        )
        total += float(found.logits_per_image[0, 1 if name == "itm" else 0])
    return total


class _Bert(nn.Module):
    """What LAVIS calls ``Qformer.bert``, computed by transformers' modules."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.embeddings = model.embeddings
        self.encoder = model.qformer.encoder
        self.inner = model.qformer
        for layer in self.encoder.layer:
            if hasattr(layer, "crossattention"):  # under LAVIS's name, but registered once
                vars(layer.crossattention)["self"] = layer.crossattention.attention

    def forward(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        query_embeds: Any = None,
        **rest: Any,
    ) -> Any:
        inputs = query_embeds
        if input_ids is not None:
            inputs = self.embeddings(input_ids=input_ids, query_embeds=query_embeds)
        length = 0 if query_embeds is None else query_embeds.shape[1]
        return self.inner(
            query_embeds=inputs, query_length=length, attention_mask=attention_mask, **rest
        )


class _VisualEncoder(nn.Module):
    def __init__(self, vision: Any) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = vision.embeddings.patch_embedding
        self.patch_embed.img_size = (tiny_blip2.IMAGE, tiny_blip2.IMAGE)  # type: ignore[assignment]
        self.pos_embed = vision.embeddings.position_embedding
        self.inner = vision

    def forward(self, pixels: Tensor) -> Any:
        return self.inner.encoder(inputs_embeds=self.inner.embeddings(pixels)).last_hidden_state


class LavisShaped(nn.Module):
    """A model with the attributes of LAVIS's ``Blip2Qformer``."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.visual_encoder = _VisualEncoder(model.vision_model)
        self.ln_vision = model.vision_model.post_layernorm
        self.query_tokens = model.query_tokens
        self.Qformer = nn.Module()
        self.Qformer.bert = _Bert(model)
        self.vision_proj = model.vision_projection
        self.text_proj = model.text_projection
        self.itm_head = model.itm_head


def lavis_state(model: Any) -> dict[str, Tensor]:
    """Return a model's weights under LAVIS's names: the converter's way back, written by hand."""
    state = {
        "temp": torch.tensor(0.07),
        "Qformer.cls.predictions.bias": torch.zeros(3),
        "Qformer.bert.embeddings.position_ids": torch.arange(4)[None],
    }
    for name, value in model.state_dict().items():
        if name.endswith("qkv.bias"):
            number = name.split(".")[3]
            query, key, values = value.chunk(3)
            assert not key.any(), "LAVIS has no bias of keys"
            state[f"visual_encoder.blocks.{number}.attn.q_bias"] = query.clone()
            state[f"visual_encoder.blocks.{number}.attn.v_bias"] = values.clone()
        else:
            state[_lavis_name(name)] = value
    return state


def _lavis_name(name: str) -> str:
    for ours, theirs in (
        ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
        ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
        ("vision_model.embeddings.patch_embedding", "visual_encoder.patch_embed.proj"),
        ("vision_model.post_layernorm", "ln_vision"),
        ("vision_model.encoder.layers", "visual_encoder.blocks"),
        ("layer_norm", "norm"),
        ("self_attn.qkv", "attn.qkv"),
        ("self_attn.projection", "attn.proj"),
        ("vision_projection", "vision_proj"),
        ("text_projection", "text_proj"),
        ("attention.attention", "attention.self"),
        ("qformer.layernorm", "Qformer.bert.embeddings.LayerNorm"),
        ("qformer.encoder", "Qformer.bert.encoder"),
    ):
        name = name.replace(ours, theirs)
    return f"Qformer.bert.{name}" if name.startswith("embeddings") else name


def without_key_bias(model: Any) -> Any:
    """Zero the biases of the vision encoder's keys, which LAVIS does not have."""
    with torch.no_grad():
        for layer in model.vision_model.encoder.layers:
            size = len(layer.self_attn.qkv.bias) // 3
            layer.self_attn.qkv.bias[size : 2 * size] = 0
    return model


def noise(count: int, size: int = tiny_blip2.IMAGE) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def run(
    reranker: cr.Reranker, queries: cr.Collection, gallery: cr.Collection, **options: Any
) -> cr.Rankings:
    """Rerank everything against everything."""
    lists = cr.Candidates.from_lists(
        dict.fromkeys(queries.ids, gallery.ids),
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
    )
    stage = cr.Stage(reranker, fusion=cr.Replace())
    return cr.Pipeline(stage).rerank(lists, queries, gallery, **options)


class TinyBlip2Reranker(Blip2Reranker):
    """With a tiny model where none is given: for the conformance kit, which builds by class."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**{**_tiny(), **params})


@lru_cache
def _tiny() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tiny_blip2.make_tokenizer(Path(folder))
    return {"model": tiny_blip2.make_model(), "tokenizer": tokenizer}
