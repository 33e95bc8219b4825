"""Tiny vision–language models of three families, built from configs with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from toys.tiny_colvision import TEXT, VISION, byte_tokenizer
from toys.tiny_tokenizers import transformers

ANSWERS = ("yes", "no", "Yes", "No", "True", "False")
QWEN = (
    *("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)


def save_qwen3_vl(folder: Path, **sizes: Any) -> None:
    tokenizer, config = _qwen("Qwen3VLConfig", **sizes)
    config["vision_config"] = {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "out_hidden_size": config["text_config"]["hidden_size"],
        "deepstack_visual_indexes": [0, 1],
        "num_position_embeddings": 64,
        **sizes.get("vision", {}),
    }
    _save(folder, "Qwen3VL", config, tokenizer)


def save_qwen2_vl(folder: Path, **sizes: Any) -> None:
    tokenizer, config = _qwen("Qwen2VLConfig", **sizes)
    config["vision_config"] = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": config["text_config"]["hidden_size"],
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 4,
        **sizes.get("vision", {}),
    }
    _save(folder, "Qwen2VL", config, tokenizer)


def save_llava(folder: Path, words: Sequence[str] = (), **sizes: Any) -> None:
    """Save a LLaVA whose tokenizer knows some words, and bytes of all others."""
    tokenizer = byte_tokenizer(["<image>"], pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    tokenizer.add_tokens([*ANSWERS, *words])
    config = {
        "text_config": {
            **TEXT,
            "model_type": "llama",
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            **sizes.get("text", {}),
        },
        "vision_config": {
            **VISION,
            "model_type": "clip_vision_model",
            "image_size": 32,
            "patch_size": 8,
            "projection_dim": 16,
            **sizes.get("vision", {}),
        },
        "image_token_index": tokenizer.convert_tokens_to_ids("<image>"),
        "image_seq_length": 16,
        "vision_feature_layer": -1,
    }
    _save(folder, "Llava", config, tokenizer)


FAMILIES: dict[str, Callable[..., None]] = {
    "llava": save_llava,
    "qwen2_vl": save_qwen2_vl,
    "qwen3_vl": save_qwen3_vl,
}


def _qwen(kind: str, **sizes: Any) -> tuple[Any, dict[str, Any]]:
    tokenizer = byte_tokenizer(QWEN, pad_token="<|endoftext|>", padding_side="left")
    tokenizer.add_tokens(list(ANSWERS))
    ids = tokenizer.convert_tokens_to_ids
    text = {**TEXT, "vocab_size": len(tokenizer), "head_dim": 8, **sizes.get("text", {})}
    half = int(text["head_dim"]) // 2
    section = [half - 2 * (half // 4), half // 4, half // 4]
    text["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": 1e4,
        "mrope_section": section,
    }
    return tokenizer, {
        "text_config": text,
        "image_token_id": ids("<|image_pad|>"),
        "video_token_id": ids("<|video_pad|>"),
        "vision_start_token_id": ids("<|vision_start|>"),
        "vision_end_token_id": ids("<|vision_end|>"),
    }


def _save(folder: Path, kind: str, config: dict[str, Any], tokenizer: Any) -> None:
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForConditionalGeneration")(
        getattr(transformers, f"{kind}Config")(**config)
    ).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn_like(weight) * 0.5 / weight.shape[-1] ** 0.25)
            elif "norm" not in name:
                weight.copy_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if kind == "Llava":
        pictures = transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        )
        settings = {"image_processor_type": "CLIPImageProcessor"}
    else:
        pictures = transformers.Qwen2VLImageProcessorPil(
            patch_size=4, min_pixels=8 * 8, max_pixels=32 * 32
        )
        settings = {"image_processor_type": "Qwen2VLImageProcessor"}
    pictures.save_pretrained(folder)
    written = folder / "preprocessor_config.json"
    if not written.is_file():  # transformers 5 may write it under another name
        written.write_text(json.dumps({**pictures.to_dict(), **settings}), encoding="utf-8")
