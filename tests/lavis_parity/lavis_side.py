"""The LAVIS side: the adapter against LAVIS's own methods, and a record for the other side.

Runs in an environment of its own (see the target ``test-lavis``), on the real classes
``Blip2Qformer``, ``BertLMHeadModel`` and ``VisionTransformer`` at toy size.
"""

from __future__ import annotations

import logging
import sys
from copy import deepcopy
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from lavis_parity import stubs, toy
from lavis_parity.comparing import TOLERANCE, compare, of_backend

stubs.install()

from crossrank_blip2 import LavisBackend, Tokens, backend_of  # noqa: E402
from crossrank_qperturb import perturbation, perturbed  # noqa: E402

blip2_qformer: Any = import_module("lavis.models.blip2_models.blip2_qformer")
qformer: Any = import_module("lavis.models.blip2_models.Qformer")
blip2: Any = import_module("lavis.models.blip2_models.blip2")
eva_vit: Any = import_module("lavis.models.eva_vit")
bert: Any = import_module("transformers.models.bert")


class ToyBlip2(blip2_qformer.Blip2Qformer):  # type: ignore[misc]
    """LAVIS's class, but for the three makers that read files of the hub."""

    folder: Path

    @classmethod
    def init_tokenizer(cls) -> Any:
        path = cls.folder / toy.VOCABULARY_FILE
        path.write_text("\n".join(toy.VOCABULARY) + "\n", encoding="utf-8")
        tokenizer = bert.BertTokenizer(str(path))
        tokenizer.add_special_tokens({"bos_token": toy.BEGIN})
        return tokenizer

    @classmethod
    def init_vision_encoder(cls, *_: Any) -> tuple[Any, Any]:
        encoder = eva_vit.VisionTransformer(
            img_size=toy.IMAGE,
            patch_size=toy.PATCH,
            embed_dim=toy.VISION_WIDTH,
            depth=toy.VISION_LAYERS,
            num_heads=toy.VISION_HEADS,
            mlp_ratio=toy.VISION_MLP / toy.VISION_WIDTH,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
        )
        return encoder, blip2.LayerNorm(encoder.num_features)

    @classmethod
    def init_Qformer(  # noqa: N802
        cls, num_query_token: int, vision_width: int, cross_attention_freq: int = 2
    ) -> tuple[Any, nn.Parameter]:
        config = bert.BertConfig(
            vocab_size=len(toy.VOCABULARY),
            hidden_size=toy.WIDTH,
            num_hidden_layers=toy.LAYERS,
            num_attention_heads=toy.HEADS,
            intermediate_size=toy.MLP,
            max_position_embeddings=toy.POSITIONS,
        )
        config.encoder_width = vision_width
        config.add_cross_attention = True
        config.cross_attention_freq = cross_attention_freq
        config.query_length = num_query_token
        made = qformer.BertLMHeadModel(config=config)
        return made, nn.Parameter(torch.zeros(1, num_query_token, toy.WIDTH))


def make_model(folder: Path) -> Any:
    """Return a toy model with random weights, large enough that every layer matters."""
    ToyBlip2.folder = folder
    torch.manual_seed(0)
    model = ToyBlip2(num_query_token=toy.QUERIES, embed_dim=toy.SHARED, vit_precision="fp32")
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def of_lavis(model: Any, pixels: Tensor, tokens: Tokens) -> dict[str, Tensor]:
    """Return what LAVIS's own methods compute."""
    states, embeds = model.forward_image(pixels)
    encoding = SimpleNamespace(input_ids=tokens.ids, attention_mask=tokens.mask)
    text = model.forward_text(encoding)
    return {
        "image_embeds": embeds,
        "image_queries": functional.normalize(model.vision_proj(states), dim=-1),
        "text_embedding": functional.normalize(model.text_proj(text), dim=-1),
        "itm_logits": model.compute_itm(embeds, tokens.ids, tokens.mask),
    }


def perturbed_weights(model: Any, matrices: dict[int, Tensor], image: int) -> Any:
    """Return a copy of a model whose query weights hold the perturbation of one image.

    ``Q' = Q + Q M`` of ``Q = x Wᵀ + b`` is the linear layer with ``(I + Mᵀ) W`` and ``(I + Mᵀ) b``,
    head by head.
    """
    copy = deepcopy(model)
    for number, of_layer in matrices.items():
        query = copy.Qformer.bert.encoder.layer[number].crossattention.self.query
        block_diag: Any = torch.block_diag
        change = block_diag(*(torch.eye(len(each)) + each.T for each in of_layer[image]))
        query.weight.copy_(change @ query.weight)
        query.bias.copy_(change @ query.bias)
    return copy


@torch.no_grad()
def main(folder: Path) -> None:
    """Compare, and leave weights, inputs and results for `transformers_side`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(folder)
    backend = backend_of(model)
    if not isinstance(backend, LavisBackend):
        raise SystemExit(f"backend_of() took a LAVIS model for a {type(backend).__name__}")
    pixels = torch.randn(len(toy.TEXTS), 3, toy.IMAGE, toy.IMAGE)
    tokens = backend.tokenise(toy.TEXTS)

    expected = of_lavis(model, pixels, tokens)
    compare("adapter against LAVIS", of_backend(backend, pixels, tokens), expected)

    made = perturbation(
        model, expected["image_embeds"], toy.BOXES, alpha=toy.ALPHA, n_pc=toy.COMPONENTS
    )
    with perturbed(model, made):
        by_hook = of_backend(backend, pixels, tokens)
    for image in range(len(pixels)):
        rows = slice(image, image + 1)
        baked = perturbed_weights(model, dict(made.matrices), image)
        alone = Tokens(tokens.ids[rows], tokens.mask[rows])
        compare(
            f"hook against weights, image {image}",
            {name: value[rows] for name, value in by_hook.items()},
            of_lavis(baked, pixels[rows], alone),
        )
    changed = float((by_hook["itm_logits"] - expected["itm_logits"]).abs().max())
    if changed < 100 * TOLERANCE:
        raise SystemExit(f"the perturbation changes the logits by {changed:.1e} only")

    save_file(
        {name: value.clone() for name, value in model.state_dict().items()}, folder / toy.STATE
    )
    record = {"pixels": pixels, "ids": tokens.ids, "mask": tokens.mask}
    record |= {f"lavis.{name}": value for name, value in expected.items()}
    record |= {f"perturbed.{name}": value for name, value in by_hook.items()}
    record |= {f"matrices.{number}": value for number, value in made.matrices.items()}
    save_file({name: value.contiguous() for name, value in record.items()}, folder / toy.RESULTS)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(Path(sys.argv[1]))
