"""Tiny models of VISTA in folders of parts, with random weights: no network."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

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
