"""Tiny models of open_clip in folders, with random weights and statistics far from the identity."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from crossrank_openclip import open_clip
from toys import tiny_tokenizers

needs_open_clip = pytest.mark.skipif(
    find_spec("open_clip") is None, reason="open_clip is not here; `make test-openclip` runs this"
)

LOOK = {
    "mean": [0.48, 0.45, 0.4],
    "std": [0.27, 0.26, 0.28],
    "interpolation": "bilinear",
    "resize_mode": "shortest",
}
CONTEXT = 16
TEXT = {"context_length": CONTEXT, "width": 32, "heads": 2, "layers": 2}
VIT = {"image_size": 36, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}


def timm_vision(name: str, size: int, pool: str, proj: str | None) -> dict[str, Any]:
    return {
        "timm_model_name": name,
        "timm_pool": pool,
        "timm_proj": proj,
        "timm_drop_path": 0.0,
        "image_size": size,
    }


CONFIGS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "vit": lambda _: {"vision_cfg": VIT, "text_cfg": TEXT, "quick_gelu": True},
    "vit_mean": lambda _: {
        "vision_cfg": {**VIT, "pool_type": "avg"},
        "text_cfg": {**TEXT, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
        "custom_text": True,
    },
    "coca_vision": lambda _: {
        "vision_cfg": {**VIT, "attentional_pool": True, "attn_pooler_queries": 4},
        "text_cfg": TEXT,
    },
    "resnet": lambda _: {"vision_cfg": RESNET, "text_cfg": TEXT},
    "fastvit": lambda _: {
        "vision_cfg": timm_vision("crossrank_tiny_fastvit", 128, "avg", None),
        "text_cfg": {**TEXT, "no_causal_mask": True},
        "custom_text": True,
    },
    "siglip": lambda _: {
        "embed_dim": 32,
        "vision_cfg": timm_vision("crossrank_tiny_siglip", 32, "map", "none"),
        "text_cfg": {**TEXT, "pool_type": "last"},
        "custom_text": True,
    },
    "hf_text": lambda folder: {
        "vision_cfg": VIT,
        "text_cfg": {
            "hf_model_name": str(folder),
            "hf_tokenizer_name": str(folder),
            "hf_proj_type": "linear",
            "hf_pooler_type": "mean_pooler",
            "context_length": CONTEXT,
        },
    },
}
KINDS = tuple(CONFIGS)


def build(kind: str, folder: Path, seed: int = 5, **look: Any) -> Path:
    """Write a tiny checkpoint and return its folder."""
    module = open_clip()
    register()
    folder.mkdir(parents=True)
    config = {"embed_dim": 24, **CONFIGS[kind](folder)}
    if kind == "hf_text":
        write_bert(folder)
    whole = {"model_cfg": config, "preprocess_cfg": {**LOOK, **look}}
    (folder / "open_clip_config.json").write_text(json.dumps(whole), encoding="utf-8")
    model = module.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    randomise(model, seed)
    save(model, folder / "open_clip_model.safetensors")
    return folder


def save(model: Any, path: Path) -> None:
    save_file({name: each.contiguous() for name, each in model.state_dict().items()}, path)


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Draw weights and statistics: the initial ones are so near the identity that faults hide."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator)

    with torch.no_grad():
        for name, each in model.named_parameters():
            fan = each[0].numel() if each.ndim > 1 else 4
            each.copy_(drawn(each) / fan**0.5 + (each.ndim == 1 and name.endswith("weight")))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.copy_(drawn(module.running_mean) / 4)
                module.running_var.copy_(drawn(module.running_var).abs() + 0.5)


def write_bert(folder: Path) -> None:
    transformers = tiny_tokenizers.transformers
    tiny_tokenizers.save_chinese_tokenizer(folder)
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split()
    transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=CONTEXT,
    ).save_pretrained(folder)


def register() -> None:
    """Teach timm the two tiny networks, as a config can only name one."""
    from timm.models import FastVit, VisionTransformer, fastvit, is_model, register_model

    if is_model("crossrank_tiny_fastvit"):
        return

    def crossrank_tiny_fastvit(pretrained: bool = False, **options: Any) -> Any:
        return tiny_fastvit(FastVit, fastvit, **options)

    def crossrank_tiny_siglip(pretrained: bool = False, **options: Any) -> Any:
        options.pop("pretrained_cfg", None)
        options.pop("pretrained_cfg_overlay", None)
        options.pop("cache_dir", None)
        options.setdefault("global_pool", "map")
        return VisionTransformer(
            img_size=32,
            patch_size=8,
            embed_dim=32,
            depth=2,
            num_heads=2,
            class_token=False,
            **options,
        )

    for function in (crossrank_tiny_fastvit, crossrank_tiny_siglip):
        function.__module__ = "timm.models.fastvit"
        register_model(function)


def tiny_fastvit(cls: Any, parts: Any, **options: Any) -> Any:
    """Return FastViT-MCi0's plan with one block a stage, attention in the last."""
    from functools import partial

    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(name, None)
    position = partial(parts.RepConditionalPosEnc, spatial_shape=(7, 7))
    return cls(
        layers=(1, 1, 1, 1),
        embed_dims=(16, 32, 64, 128),
        mlp_ratios=(3, 3, 3, 3),
        se_downsamples=(False, False, True, True),
        pos_embs=(None, None, None, position),
        token_mixers=("repmixer", "repmixer", "repmixer", "attention"),
        **options,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: with models as tiny as these, waiting for others takes longest."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
