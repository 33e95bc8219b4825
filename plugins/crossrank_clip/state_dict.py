"""From a state dict in OpenAI's layout to a checkpoint of transformers.

OpenAI's CLIP, open_clip's plain models and what is fine-tuned from them (GeoRSCLIP, RemoteCLIP)
save ``visual.transformer.resblocks.0.attn.in_proj_weight``; transformers keeps queries, keys and
values apart and transposes the projections.  Every weight is used, or listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossrank.errors import CrossrankError, ParameterError, PluginError, StoreError
from crossrank.plugin.files import atomic_folder, refuse_existing
from crossrank.plugin.hub import first_line
from crossrank.plugin.optional import required
from crossrank.plugin.torch_weights import read_state_dict

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
HOLDS = "state dict of a CLIP in OpenAI's layout"
NEEDED = (
    *("visual.conv1.weight", "visual.positional_embedding", "visual.proj"),
    *("token_embedding.weight", "positional_embedding", "text_projection", "ln_final.weight"),
    *(f"{tower}transformer.resblocks.0.mlp.c_fc.bias" for tower in ("visual.", "")),
)
"""What tells this layout from others, and the sizes of the model."""

IGNORED = {"input_resolution", "context_length", "vocab_size", "attn_mask"}
"""Settings and buffers that some files hold beside the weights."""

HEADS = {768: 12, 1024: 16, 1280: 16, 1664: 16}
"""Attention heads of the released image towers by width: of the two large ones not 64 wide."""

NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "logit_scale": "logit_scale",
}
NORMS = {
    "visual.ln_pre": "vision_model.pre_layrnorm",  # so it is spelt in transformers
    "visual.ln_post": "vision_model.post_layernorm",
    "ln_final": "text_model.final_layer_norm",
}
TRANSPOSED = {
    "visual.proj": "visual_projection.weight",
    "text_projection": "text_projection.weight",
}
IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")


def convert(
    file: Path,
    folder: Path,
    *,
    quick_gelu: bool,
    tokenizer: str,
    vision_heads: int | None = None,
    text_heads: int | None = None,
) -> None:
    """Write the folder that the encoder ``clip`` reads.

    Parameters
    ----------
    file
        A state dict, ``.pt`` or ``.safetensors``; also below the key ``state_dict`` and with the
        prefix ``module.``.
    folder
        A new folder.
    quick_gelu
        Which activation it was trained with: QuickGELU for OpenAI's weights and what is fine-tuned
        from them.  The file does not tell, and either loads without an error.
    tokenizer
        Where CLIP's tokenizer lies: a folder, or a name on the model hub.
    vision_heads, text_heads
        How many attention heads; of the released sizes they are known.

    Raises
    ------
    StoreError
        If the file is no such state dict, weights are missing or left over, or the folder exists.
    ParameterError
        If the number of heads has to be given.
    PluginError
        If the tokenizer cannot be read.
    """
    refuse_existing(folder)
    required("torch", "clip", "converting a checkpoint")
    transformers = required("transformers", "clip", "converting a checkpoint")
    weights = _read(file)
    try:
        config = _config(transformers, weights, quick_gelu, vision_heads, text_heads)
        model = transformers.CLIPModel(config)
        report = model.load_state_dict(rename(weights), strict=False)
    except CrossrankError:
        raise
    except Exception as error:  # shapes are unpacked and split before anything is compared
        raise StoreError(f"clip: {file} is of another architecture: {first_line(error)}") from error
    missing = [name for name in report.missing_keys if not name.endswith("position_ids")]
    if missing or report.unexpected_keys:
        raise StoreError(
            f"clip: {file} does not fit: missing {', '.join(missing[:6]) or 'nothing'}; left over "
            f"{', '.join(report.unexpected_keys[:6]) or 'nothing'}"
        )
    try:
        words = transformers.AutoTokenizer.from_pretrained(tokenizer, trust_remote_code=False)
    except Exception as error:
        raise PluginError(
            f"clip: the tokenizer {tokenizer} cannot be read: {first_line(error)}; give a folder "
            "with vocab.json and merges.txt of any CLIP"
        ) from error
    size = config.vision_config.image_size
    looking = transformers.CLIPImageProcessor(
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=list(OPENAI_MEAN),
        image_std=list(OPENAI_STD),
    )
    with atomic_folder(folder) as partial:
        for part in (model, words, looking):
            part.save_pretrained(partial)


def rename(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights under transformers' names; unknown ones keep theirs."""
    found: dict[str, Any] = {}
    for name, value in weights.items():
        stem, _, kind = name.rpartition(".")
        block = BLOCK.fullmatch(name)
        if name in NAMES:
            found[NAMES[name]] = value
        elif name in TRANSPOSED:
            found[TRANSPOSED[name]] = value.T.contiguous()
        elif stem in NORMS:
            found[f"{NORMS[stem]}.{kind}"] = value
        elif block is None:
            found[name] = value
        else:
            tower = "vision_model" if block[1] else "text_model"
            found.update(_in_block(f"{tower}.encoder.layers.{block[2]}", block[3], value))
    return found


def _in_block(at: str, name: str, value: Any) -> dict[str, Any]:
    if name in ("attn.in_proj_weight", "attn.in_proj_bias"):
        kind = name.rpartition("_")[2]
        parts = zip("qkv", value.chunk(3), strict=True)
        return {f"{at}.self_attn.{part}_proj.{kind}": own.contiguous() for part, own in parts}
    stem, _, kind = name.rpartition(".")
    return {f"{at}.{IN_BLOCK.get(stem, stem)}.{kind}": value}


def _read(file: Path) -> dict[str, Any]:
    held = read_state_dict("clip", file, HOLDS)
    lacking = [name for name in NEEDED if name not in held]
    if lacking:
        raise StoreError(f"clip: {file} is no {HOLDS}: it lacks {', '.join(lacking)}")
    return {name: value.float() for name, value in held.items() if name not in IGNORED}


def _config(
    transformers: Any,
    weights: Mapping[str, Any],
    quick_gelu: bool,
    vision_heads: int | None,
    text_heads: int | None,
) -> Any:
    act = "quick_gelu" if quick_gelu else "gelu"
    wide, _, patch, _ = weights["visual.conv1.weight"].shape
    grid = round((len(weights["visual.positional_embedding"]) - 1) ** 0.5)
    words, width = weights["token_embedding.weight"].shape
    seen = vision_heads if vision_heads is not None else HEADS.get(wide)
    if seen is None:
        raise ParameterError(
            f"clip: how many heads an image tower {wide} wide has is not known; give vision_heads"
        )
    spoken = text_heads if text_heads is not None else max(1, width // 64)
    vision = {
        "hidden_size": wide,
        "num_hidden_layers": _layers(weights, "visual.transformer."),
        "num_attention_heads": seen,
        "intermediate_size": len(weights["visual.transformer.resblocks.0.mlp.c_fc.bias"]),
        "patch_size": patch,
        "image_size": grid * patch,
        "hidden_act": act,
        "projection_dim": weights["visual.proj"].shape[1],
    }
    text = {
        "hidden_size": width,
        "num_hidden_layers": _layers(weights, "transformer."),
        "num_attention_heads": spoken,
        "intermediate_size": len(weights["transformer.resblocks.0.mlp.c_fc.bias"]),
        "max_position_embeddings": len(weights["positional_embedding"]),
        "vocab_size": words,
        "hidden_act": act,
        "projection_dim": weights["text_projection"].shape[1],
        # the last words of the vocabulary; pooling looks for the end
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
    }
    return transformers.CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=text["projection_dim"]
    )


def _layers(weights: Mapping[str, Any], prefix: str) -> int:
    return sum(name.startswith(prefix) and name.endswith(".ln_1.weight") for name in weights)
