"""Tiny checkpoints of every CLIP family, built from a config with random weights: no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from toys.tiny_tokenizers import (
    LONGEST_TEXT,
    save_chinese_tokenizer,
    save_clip_tokenizer,
    save_gemma_tokenizer,
    save_siglip_tokenizer,
    save_word_tokenizer,
    transformers,
)

HIDDEN, PATCH = 16, 8

TOWER = {
    "hidden_size": HIDDEN,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    # large enough that different inputs give features that differ by more than rounding
    "initializer_range": 0.3,
}
VISION = {**TOWER, "image_size": 32, "patch_size": PATCH}
MEAN_STD = {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}
CENTRE_CROP = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 32},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "resample": 3,
    **MEAN_STD,
}
SQUASH = {
    "image_processor_type": "SiglipImageProcessor",
    "do_resize": True,
    "size": {"height": 36, "width": 36},
    "resample": 3,
    **MEAN_STD,
}

FAMILIES: dict[str, dict[str, Any]] = {
    "clip": {
        "projection_dim": 12,
        "vision_config": VISION,
        "text_config": {
            **TOWER,
            "vocab_size": 1000,
            "max_position_embeddings": LONGEST_TEXT,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
    },
    "metaclip_2": {
        "projection_dim": 12,
        "vision_config": VISION,
        "text_config": {
            **TOWER,
            "vocab_size": 100,
            "max_position_embeddings": LONGEST_TEXT,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 1,
        },
    },
    "chinese_clip": {
        "projection_dim": 12,
        "vision_config": VISION,
        "text_config": {**TOWER, "vocab_size": 100, "max_position_embeddings": LONGEST_TEXT},
    },
    "altclip": {
        "projection_dim": 12,
        "vision_config": VISION,
        "text_config": {
            **TOWER,
            "vocab_size": 100,
            "max_position_embeddings": LONGEST_TEXT + 2,
            "project_dim": 20,
            "pad_token_id": 1,
        },
    },
    "siglip": {
        # 8 does not divide 36: the patches leave a margin at the right and at the bottom
        "vision_config": {**VISION, "image_size": 36},
        "text_config": {
            **TOWER,
            "hidden_size": 20,
            "projection_size": HIDDEN,
            "vocab_size": 100,
            "max_position_embeddings": LONGEST_TEXT,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 1,
        },
    },
    "siglip2": {
        "vision_config": {**TOWER, "patch_size": PATCH, "num_patches": 16},
        "text_config": {
            **TOWER,
            "hidden_size": 20,
            "projection_size": HIDDEN,
            "vocab_size": 200,
            "max_position_embeddings": LONGEST_TEXT,
            "bos_token_id": 2,
            "eos_token_id": 1,
            "pad_token_id": 0,
        },
    },
}
PROCESSORS: dict[str, dict[str, Any]] = {
    "clip": CENTRE_CROP,
    "metaclip_2": CENTRE_CROP,
    "chinese_clip": {
        **CENTRE_CROP,
        "image_processor_type": "ChineseCLIPImageProcessor",
        "size": {"height": 32, "width": 32},
    },
    "altclip": CENTRE_CROP,
    "siglip": SQUASH,
    "siglip2": {
        "image_processor_type": "Siglip2ImageProcessor",
        "patch_size": PATCH,
        "max_num_patches": 16,
        "do_resize": True,
        **MEAN_STD,
    },
}
TOKENIZERS: dict[str, Callable[[Path], None]] = {
    "altclip": save_word_tokenizer,
    "chinese_clip": save_chinese_tokenizer,
    "clip": save_clip_tokenizer,
    "metaclip_2": save_word_tokenizer,
    "siglip": save_siglip_tokenizer,
    "siglip2": save_gemma_tokenizer,
}


def build(family: str, folder: Path, **processor: Any) -> Path:
    """Save a checkpoint of a family to a folder.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    folder
        A new folder.
    **processor
        Settings of the image processor that differ from the family's usual ones.
    """
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(family, **FAMILIES[family])
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    settings = {**PROCESSORS[family], **processor}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    TOKENIZERS[family](folder)
    return folder
