"""The transformers side: the converted weights against what LAVIS computed, perturbed and not."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from crossrank_blip2 import backend_of, convert_lavis_state_dict
from crossrank_qperturb import perturbation, perturbed
from lavis_parity import toy
from lavis_parity.comparing import compare, of_backend

transformers: Any = import_module("transformers")  # its types are incomplete


def make_model(state: dict[str, Tensor]) -> Any:
    """Return a transformers model with LAVIS's weights."""
    config = transformers.Blip2Config(
        vision_config={
            "hidden_size": toy.VISION_WIDTH,
            "intermediate_size": toy.VISION_MLP,
            "num_hidden_layers": toy.VISION_LAYERS,
            "num_attention_heads": toy.VISION_HEADS,
            "image_size": toy.IMAGE,
            "patch_size": toy.PATCH,
        },
        qformer_config={
            "vocab_size": len(toy.VOCABULARY) + 1,
            "hidden_size": toy.WIDTH,
            "num_hidden_layers": toy.LAYERS,
            "num_attention_heads": toy.HEADS,
            "intermediate_size": toy.MLP,
            "max_position_embeddings": toy.POSITIONS,
            "use_qformer_text_input": True,
        },
        num_query_tokens=toy.QUERIES,
        image_text_hidden_size=toy.SHARED,
    )
    model: Any = transformers.Blip2ForImageTextRetrieval(config)
    model.load_state_dict(convert_lavis_state_dict(state))
    model.vision_model.post_layernorm.eps = 1e-5
    return model


@torch.no_grad()
def main(folder: Path) -> None:
    """Compare with what `lavis_side` left."""
    recorded = load_file(folder / toy.RESULTS)
    path = str(folder / toy.VOCABULARY_FILE)
    tokenizer: Any = transformers.BertTokenizerFast(vocab_file=path, vocab=path)
    model = make_model(load_file(folder / toy.STATE))
    backend = backend_of(model, tokenizer)
    tokens = backend.tokenise(toy.TEXTS)
    if not torch.equal(tokens.ids, recorded["ids"]) or not torch.equal(
        tokens.mask, recorded["mask"]
    ):
        raise SystemExit("the two tokenizers do not agree")

    pixels = recorded["pixels"]
    compare(
        "converted against LAVIS", of_backend(backend, pixels, tokens), _part(recorded, "lavis")
    )
    made = perturbation(
        model, backend.image_embeds(pixels), toy.BOXES, alpha=toy.ALPHA, n_pc=toy.COMPONENTS
    )
    matrices = {str(number): each for number, each in made.matrices.items()}
    compare("perturbation matrices of layer", matrices, _part(recorded, "matrices"))
    with perturbed(model, made):
        found = of_backend(backend, pixels, tokens)
    compare("converted against LAVIS, perturbed", found, _part(recorded, "perturbed"))


def _part(recorded: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return what was recorded under a prefix."""
    dotted = f"{prefix}."
    return {
        name.removeprefix(dotted): value
        for name, value in recorded.items()
        if name.startswith(dotted)
    }


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(Path(sys.argv[1]))
