"""BLIP-2 as transformers has it: ``Blip2ForImageTextRetrieval``, 4.57 and 5.

The sub-modules are called, never ``forward()``: where ``config.image_token_index`` is set, that one
takes the first text tokens for places of the image and drops them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from crossrank.errors import InputError
from crossrank_blip2.checks import check_pixels, require_attributes
from crossrank_blip2.fingerprints import weights_digest
from crossrank_blip2.qformer_backend import QFormerBackend
from crossrank_blip2.shared_keys import cross_attentions
from crossrank_blip2.texts import Tokens

PARTS = (
    "config.vision_config.image_size",
    "vision_model.embeddings.patch_embedding.weight",
    "vision_model.embeddings.position_embedding",
    "vision_model.post_layernorm",
    "query_tokens",
    "embeddings.word_embeddings",
    "qformer.encoder.layer",
    "vision_projection",
    "text_projection",
    "itm_head",
)


class TransformersBackend(QFormerBackend):
    """A `Backend` over a ``Blip2ForImageTextRetrieval``, which is put into evaluation mode.

    Parameters
    ----------
    model
        The model, where and in the float type in which it is to compute.
    tokenizer
        The one it was trained with.

    Raises
    ------
    InputError
        If the model lacks a part, such as the text half of its feed-forward layers.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        require_attributes(model, PARTS, "a Blip2ForImageTextRetrieval of transformers")
        if not hasattr(model.qformer.encoder.layer[0], "intermediate"):
            raise InputError(
                "blip2: the Q-Former has no feed-forward layers for text (layer[0].intermediate); "
                "its config lacks qformer_config.use_qformer_text_input=true, which old revisions "
                "on the hub spell 'qformer_text_input'; correct config.json or pin another revision"
            )
        size = model.config.vision_config.image_size
        super().__init__(model, tokenizer, size, model.embeddings.word_embeddings)

    @property
    def device(self) -> torch.device:
        """See `Backend.device`."""
        return self._patch_weight.device

    @property
    def dtype(self) -> torch.dtype:
        """See `Backend.dtype`."""
        return self._patch_weight.dtype

    @property
    def embeds_shape(self) -> tuple[int, int]:
        """See `Backend.embeds_shape`."""
        _, tokens, width = self._model.vision_model.embeddings.position_embedding.shape
        return int(tokens), int(width)

    @property
    def cross_attentions(self) -> tuple[Any, ...]:
        """See `Backend.cross_attentions`."""
        return cross_attentions(self._model.qformer, "attention")

    @property
    def _patch_weight(self) -> Tensor:
        weight: Tensor = self._model.vision_model.embeddings.patch_embedding.weight
        return weight

    def fingerprint(self) -> str:
        """See `Backend.fingerprint`."""
        return weights_digest({"transformers": self._model.vision_model})

    def image_embeds(self, pixels: Tensor) -> Tensor:
        """See `Backend.image_embeds`."""
        check_pixels(pixels, self.image_size)
        seen = self._model.vision_model(pixels.to(self.device, self.dtype), return_dict=True)
        embeds: Tensor = seen.last_hidden_state
        return embeds

    def image_queries(self, image_embeds: Tensor) -> Tensor:
        """See `Backend.image_queries`."""
        states = self._states(self._queries(len(image_embeds)), image_embeds=image_embeds)
        return _unit(self._model.vision_projection, states)

    def text_embedding(self, tokens: Tokens) -> Tensor:
        """See `Backend.text_embedding`."""
        words = self._model.embeddings(input_ids=tokens.ids.to(self.device))
        states = self._states(words, query_length=0, attention_mask=tokens.mask.to(self.device))
        return _unit(self._model.text_projection, states[:, 0])

    def itm_logits(self, image_embeds: Tensor, tokens: Tokens) -> Tensor:
        """See `Backend.itm_logits`."""
        queries = self._queries(len(image_embeds))
        count = queries.shape[1]
        both = self._model.embeddings(input_ids=tokens.ids.to(self.device), query_embeds=queries)
        mask = tokens.mask.to(self.device)
        states = self._states(
            both,
            query_length=count,
            attention_mask=torch.cat([mask.new_ones(len(mask), count), mask], dim=1),
            image_embeds=image_embeds,
        )
        head = self._model.itm_head
        logits: Tensor = head(states[:, :count].to(head.weight.dtype))[..., 1].float().mean(dim=1)
        return logits

    def _states(
        self, inputs: Tensor, *, image_embeds: Tensor | None = None, **options: Any
    ) -> Tensor:
        if image_embeds is not None:
            given = image_embeds.to(self.device, next(self._model.qformer.parameters()).dtype)
            options["encoder_hidden_states"] = given
            options["encoder_attention_mask"] = torch.ones(
                given.shape[:2], dtype=torch.long, device=self.device
            )
        states: Tensor = self._model.qformer(
            query_embeds=inputs, return_dict=True, **options
        ).last_hidden_state
        return states


def _unit(projection: Any, states: Tensor) -> Tensor:
    return functional.normalize(projection(states.to(projection.weight.dtype)).float(), dim=-1)
