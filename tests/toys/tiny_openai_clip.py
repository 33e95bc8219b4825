"""A tiny CLIP in OpenAI's layout, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from toys.tiny_tokenizers import LONGEST_TEXT, save_clip_tokenizer, transformers

WIDTH, HEADS, PATCH, GRID, JOINT = 32, 2, 8, 4, 24


def state(words: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """Return random weights in OpenAI's layout."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / 3

    made = {
        "visual.class_embedding": drawn(WIDTH),
        "visual.positional_embedding": drawn(GRID * GRID + 1, WIDTH),
        "visual.conv1.weight": drawn(WIDTH, 3, PATCH, PATCH) / 4,
        "visual.proj": drawn(WIDTH, JOINT),
        "positional_embedding": drawn(LONGEST_TEXT, WIDTH),
        "token_embedding.weight": drawn(words, WIDTH),
        "text_projection": drawn(WIDTH, JOINT),
        "logit_scale": torch.tensor(1.0),
    }
    for name in ("visual.ln_pre", "visual.ln_post", "ln_final"):
        made |= {f"{name}.weight": drawn(WIDTH) + 1, f"{name}.bias": drawn(WIDTH)}
    for tower in ("visual.", ""):
        for layer in range(2):
            at = f"{tower}transformer.resblocks.{layer}."
            made |= {f"{at}ln_{n}.weight": drawn(WIDTH) + 1 for n in (1, 2)}
            made |= {f"{at}ln_{n}.bias": drawn(WIDTH) for n in (1, 2)}
            made |= {
                f"{at}attn.in_proj_weight": drawn(3 * WIDTH, WIDTH),
                f"{at}attn.in_proj_bias": drawn(3 * WIDTH),
                f"{at}attn.out_proj.weight": drawn(WIDTH, WIDTH),
                f"{at}attn.out_proj.bias": drawn(WIDTH),
                f"{at}mlp.c_fc.weight": drawn(48, WIDTH),
                f"{at}mlp.c_fc.bias": drawn(48),
                f"{at}mlp.c_proj.weight": drawn(WIDTH, 48),
                f"{at}mlp.c_proj.bias": drawn(WIDTH),
            }
    return made


def save_tokenizer(folder: Path) -> Path:
    """Write a tiny tokenizer whose begin and end are the last words, as in CLIP's."""
    folder.mkdir(parents=True)
    save_clip_tokenizer(folder)
    path = folder / "vocab.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    special = ["<|startoftext|>", "<|endoftext|>"]
    names = [name for name in held if name not in special] + special
    path.write_text(json.dumps({name: n for n, name in enumerate(names)}), encoding="utf-8")
    return folder


def written(tokenizer: Path, path: Path) -> dict[str, torch.Tensor]:
    """Write weights for a tokenizer to a ``.pt`` file, and return them."""
    words = len(transformers.AutoTokenizer.from_pretrained(tokenizer))
    weights = state(words)
    torch.save(weights, path)
    return weights
