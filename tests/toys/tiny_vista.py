"""Tiny models of VISTA in folders of parts, with random weights: no network."""

from __future__ import annotations

from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from crossrank_vista.encoder import VistaEncoder
from toys.tiny_tokenizers import save_chinese_tokenizer, save_word_tokenizer, transformers

POSITIONS = 40
HEADS = 2


def build(kind: str, folder: Path) -> Path:
    """Write a model whose text encoder is ``"bert"`` or ``"roberta"``."""
    torch.manual_seed(7)
    (folder / "text").mkdir(parents=True)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "intermediate_size": 48,
        "max_position_embeddings": POSITIONS,
    }
    if kind == "bert":
        save_chinese_tokenizer(folder / "text")
        vocabulary = len((folder / "text" / "vocab.txt").read_text(encoding="utf-8").split())
        text = transformers.BertModel(transformers.BertConfig(vocab_size=vocabulary, **sizes))
    else:
        save_word_tokenizer(folder / "text")
        config = transformers.XLMRobertaConfig(vocab_size=64, pad_token_id=1, **sizes)
        text = transformers.XLMRobertaModel(config)
    vision = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=32,
            patch_size=8,
        )
    )
    with torch.no_grad():  # so that every part counts: the initial ones are small
        for each in [*text.parameters(), *vision.parameters()]:
            each.add_(torch.randn_like(each) * 0.2)
    text.save_pretrained(folder / "text")
    vision.save_pretrained(folder / "image")
    transformers.CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder / "image")
    projection = {"weight": torch.randn(32, 24) / 4, "bias": torch.randn(32)}
    save_file(projection, folder / "visual_proj.safetensors")
    return folder


def naive(encoder: VistaEncoder, text: str, picture: Image.Image | None) -> NDArray[np.float64]:
    """VISTA's forward pass, one item, float64, every sum written out."""
    parts = encoder._loaded()
    state = {name: value.double().numpy() for name, value in parts.text.state_dict().items()}
    ids = parts.tokenizer(text)["input_ids"]
    words = state["embeddings.word_embeddings.weight"][ids]
    table = state["embeddings.position_embeddings.weight"]
    kind = state["embeddings.token_type_embeddings.weight"][0]
    roberta = "roberta" in parts.text.config.model_type
    first = parts.text.config.pad_token_id + 1 if roberta else 0
    if picture is None:
        rows = [word + kind + table[first + n] for n, word in enumerate(words)]
    else:
        input = torch.from_numpy(parts.prepare(picture))[None]
        with torch.no_grad():
            patches = parts.patches(input)[0].double().numpy()
        weight = parts.projection.weight.double().numpy()
        seen = patches @ weight.T + parts.projection.bias.double().numpy()
        count = len(seen)
        rows = [words[0] + kind + table[0]]
        rows += [each + table[1 + n] for n, each in enumerate(seen)]
        rows += [word + kind + table[1 + count + n] for n, word in enumerate(words[1:])]
    eps = parts.text.config.layer_norm_eps
    hidden = norm(np.array(rows), state, "embeddings.LayerNorm", eps)
    for layer in range(parts.text.config.num_hidden_layers):
        at = f"encoder.layer.{layer}"
        query, key, value = (
            affine(hidden, state, f"{at}.attention.self.{name}")
            for name in ("query", "key", "value")
        )
        width = hidden.shape[1] // HEADS
        mixed = np.zeros_like(hidden)
        for head in range(HEADS):
            own = slice(head * width, (head + 1) * width)
            for row in range(len(hidden)):
                logits = key[:, own] @ query[row, own] / width**0.5
                weights = np.exp(logits - logits.max())
                mixed[row, own] = weights / weights.sum() @ value[:, own]
        attended = affine(mixed, state, f"{at}.attention.output.dense") + hidden
        hidden = norm(attended, state, f"{at}.attention.output.LayerNorm", eps)
        inner = affine(hidden, state, f"{at}.intermediate.dense")
        active = inner * 0.5 * (1 + np.vectorize(erf)(inner / 2**0.5))
        hidden = norm(
            affine(active, state, f"{at}.output.dense") + hidden,
            state,
            f"{at}.output.LayerNorm",
            eps,
        )
    summary: NDArray[np.float64] = hidden[0] / np.linalg.norm(hidden[0])
    return summary


def affine(rows: Any, state: dict[str, Any], name: str) -> Any:
    return rows @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(rows: Any, state: dict[str, Any], name: str, eps: float) -> Any:
    centred = rows - rows.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]
