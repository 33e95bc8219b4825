"""Tiny ColPali, ColQwen2 and ColModernVBert checkpoints, built from configs with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from toys.tiny_tokenizers import transformers

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "initializer_range": 0.2,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.2,
}


def byte_tokenizer(special: Sequence[str], **names: str) -> Any:
    """Return a tokenizer of bytes, with some special tokens behind them."""
    vocabulary = {letter: number for number, letter in enumerate(LETTERS)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def save_colqwen2(folder: Path) -> None:
    special = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    tokenizer = byte_tokenizer(special, pad_token="<|endoftext|>", padding_side="left")
    ids = tokenizer.convert_tokens_to_ids
    text = {**TEXT, "vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": None}
    text["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [1, 1, 2],
    }
    vlm = transformers.Qwen2VLConfig(
        text_config=text,
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
            "initializer_range": 0.2,
        },
        image_token_id=ids("<|image_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    config = transformers.ColQwen2Config(vlm_config=vlm.to_dict(), embedding_dim=16)
    _save(folder, transformers.ColQwen2ForRetrieval, config)
    pictures = transformers.Qwen2VLImageProcessorPil(
        patch_size=4, min_pixels=8 * 8, max_pixels=32 * 32
    )
    transformers.ColQwen2Processor(pictures, tokenizer).save_pretrained(folder)


def save_colpali(folder: Path) -> None:
    tokenizer = byte_tokenizer(["<image>"], pad_token="<pad>", bos_token="<bos>", eos_token="<eos>")
    vlm = transformers.PaliGemmaConfig(
        text_config={
            **TEXT,
            "model_type": "gemma",
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={**VISION, "model_type": "siglip_vision_model", "image_size": 32}
        | {"patch_size": 8, "projection_dim": 32},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )
    config = transformers.ColPaliConfig(vlm_config=vlm, embedding_dim=16)
    _save(folder, transformers.ColPaliForRetrieval, config)
    pictures = transformers.SiglipImageProcessorPil(
        size={"height": 32, "width": 32}, image_seq_length=16
    )
    pictures.image_seq_length = 16
    transformers.ColPaliProcessor(pictures, tokenizer).save_pretrained(folder)


def save_colmodernvbert(folder: Path) -> None:
    tiles = [f"<row_{row + 1}_col_{column + 1}>" for row in range(4) for column in range(4)]
    special = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *tiles]
    special += ["<|begin_of_text|>"]
    tokenizer = byte_tokenizer(special, pad_token="<pad>", cls_token="<cls>", sep_token="<sep>")
    vlm = transformers.ModernVBertConfig(
        text_config={
            **{key: TEXT[key] for key in ("hidden_size", "intermediate_size")},
            "model_type": "modernbert",
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "initializer_range": 0.2,
        },
        vision_config={
            **VISION,
            "model_type": "siglip_vision_model",
            "image_size": 16,
            "patch_size": 4,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pixel_shuffle_factor=2,
        initializer_range=0.2,
    )
    config = transformers.ColModernVBertConfig(vlm_config=vlm, embedding_dim=16)
    _save(folder, transformers.ColModernVBertForRetrieval, config)
    pictures = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 48}, max_image_size={"longest_edge": 16}
    )
    transformers.ColModernVBertProcessor(pictures, tokenizer, image_seq_len=4).save_pretrained(
        folder
    )


FAMILIES: dict[str, Callable[[Path], None]] = {
    "colmodernvbert": save_colmodernvbert,
    "colpali": save_colpali,
    "colqwen2": save_colqwen2,
}


def _save(folder: Path, kind: Any, config: Any) -> None:
    torch.manual_seed(0)
    model = kind(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn_like(weight) * 0.2)
            elif "norm" not in name:
                weight.copy_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the configuration of a saved checkpoint."""
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found
