"""A BLIP-2 of the real transformers classes at toy size, and its two scores by its sub-modules.

`Blip2ForImageTextRetrieval` with two vision layers and a Q-Former of four, two of them with
cross-attention; ``image_token_index`` stays unset, so texts carry no image tokens in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tiny_blip2_scenes import COLOURS, OPPOSITE, SHAPES, SIZE

transformers: Any = import_module("transformers")  # its types are incomplete

WORDS = ("a", "an", *COLOURS, *SHAPES, *" ".join([*OPPOSITE, *OPPOSITE.values()]).split())
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
VOCABULARY = {word: row for row, word in enumerate(dict.fromkeys([*SPECIAL, *WORDS]))}
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the model is."""

    width: int = 64
    head: int = 16
    patch: int = 8
    vision_layers: int = 2
    layers: int = 4
    queries: int = 8
    embedding: int = 64
    spread: float = 0.1


def make_model(sizes: Sizes = Sizes()) -> Any:
    """Return the model with random weights, drawn from torch's generator."""
    heads = sizes.width // sizes.head
    vision = transformers.Blip2VisionConfig(
        hidden_size=sizes.width,
        intermediate_size=2 * sizes.width,
        num_hidden_layers=sizes.vision_layers,
        num_attention_heads=heads,
        image_size=SIZE,
        patch_size=sizes.patch,
        initializer_range=0.02,
    )
    qformer = transformers.Blip2QFormerConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=heads,
        intermediate_size=2 * sizes.width,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=64,
        encoder_hidden_size=sizes.width,
        use_qformer_text_input=True,
        initializer_range=sizes.spread,
    )
    config = transformers.Blip2Config(
        vision_config=vision.to_dict(),
        qformer_config=qformer.to_dict(),
        num_query_tokens=sizes.queries,
        image_text_hidden_size=sizes.embedding,
        initializer_range=sizes.spread,
    )
    model = transformers.Blip2ForImageTextRetrieval(config)
    # the class leaves all queries 0, and equal queries would stay equal for ever
    torch.nn.init.normal_(model.query_tokens, std=0.5)
    return model


def make_tokenizer() -> Any:
    """Return a tokenizer of whole words: those of the captions."""
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, VOCABULARY[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=64,
    )


def save_model(model: Any, folder: Path) -> None:
    """Write model, tokenizer and image processor as ``from_pretrained`` reads them."""
    model.save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    pil = import_module("transformers.models.blip.image_processing_pil_blip")
    size = {"height": SIZE, "width": SIZE}
    pil.BlipImageProcessorPil(size=size, image_mean=MEAN, image_std=SPREAD).save_pretrained(folder)


def pixels(pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """Return pictures ``[n, SIZE, SIZE, 3]`` as the model wants them."""
    values = (np.stack(pictures) / 255 - MEAN) / SPREAD
    return torch.from_numpy(values.astype(np.float32).transpose(0, 3, 1, 2).copy())


def vision_features(model: Any, pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """Return the vision output ``[n, 1 + patches, width]`` of pictures."""
    with torch.inference_mode():
        parts = [
            model.vision_model(pixel_values=pixels(pictures[start : start + 64])).last_hidden_state
            for start in range(0, len(pictures), 64)
        ]
    return torch.cat(parts).clone()


def picture_embeddings(model: Any, vision: torch.Tensor) -> torch.Tensor:
    """Return the unit vectors ``[n, queries, embedding]`` that ITC compares with a text's."""
    queries = model.query_tokens.expand(len(vision), -1, -1)
    found = model.qformer(query_embeds=queries, encoder_hidden_states=vision).last_hidden_state
    return torch.nn.functional.normalize(model.vision_projection(found), dim=-1)


def text_embeddings(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return a unit vector ``[n, embedding]`` per text."""
    embedded = model.embeddings(input_ids=ids)
    found = model.qformer(query_embeds=embedded, query_length=0, attention_mask=mask)
    first = found.last_hidden_state[:, 0]
    return torch.nn.functional.normalize(model.text_projection(first), dim=-1)


def itm_logits(
    model: Any, vision: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return ``[n, 2]``: whether a text matches the picture beside it (1) or not (0)."""
    queries = model.query_tokens.expand(len(vision), -1, -1)
    seen = torch.cat([mask.new_ones(queries.shape[:2]), mask], dim=1)
    found = model.qformer(
        query_embeds=model.embeddings(input_ids=ids, query_embeds=queries),
        query_length=queries.shape[1],
        attention_mask=seen,
        encoder_hidden_states=vision,
    ).last_hidden_state
    logits: torch.Tensor = model.itm_head(found[:, : queries.shape[1]]).mean(dim=1)
    return logits
