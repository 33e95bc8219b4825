"""BLIP-2 as LAVIS has it: an adapter around a model object that the user has loaded.

Nothing of LAVIS is imported: what counts is what the object has.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
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
    "visual_encoder.patch_embed.proj.weight",
    "visual_encoder.patch_embed.img_size",
    "visual_encoder.pos_embed",
    "ln_vision",
    "query_tokens",
    "Qformer.bert.embeddings.word_embeddings",
    "Qformer.bert.encoder.layer",
    "vision_proj",
    "text_proj",
    "itm_head",
)


class LavisBackend(QFormerBackend):
    """A `Backend` over a LAVIS ``Blip2Qformer`` or ``Blip2ITM``, put into evaluation mode.

    Parameters
    ----------
    model
        The model, where it is to compute.
    tokenizer
        In place of the model's own.

    Raises
    ------
    InputError
        Naming the attribute that the model lacks.
    """

    def __init__(self, model: Any, tokenizer: Any = None) -> None:
        parts = PARTS if tokenizer is not None else (*PARTS, "tokenizer")
        require_attributes(model, parts, "a LAVIS model")
        if not hasattr(model.Qformer.bert.encoder.layer[0], "intermediate"):
            raise InputError(
                "blip2: the LAVIS model's Q-Former has no feed-forward layers for text "
                "(Qformer.bert.encoder.layer[0].intermediate); captioning models drop them, so "
                "load a Blip2Qformer or Blip2ITM"
            )
        super().__init__(
            model,
            model.tokenizer if tokenizer is None else tokenizer,
            model.visual_encoder.patch_embed.img_size,
            model.Qformer.bert.embeddings.word_embeddings,
        )

    @property
    def device(self) -> torch.device:
        """See `Backend.device`."""
        device: torch.device = self._model.query_tokens.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """See `Backend.dtype`."""
        dtype: torch.dtype = self._model.visual_encoder.patch_embed.proj.weight.dtype
        return dtype

    @property
    def embeds_shape(self) -> tuple[int, int]:
        """See `Backend.embeds_shape`."""
        _, tokens, width = self._model.visual_encoder.pos_embed.shape
        return int(tokens), int(width)

    @property
    def cross_attentions(self) -> tuple[Any, ...]:
        """See `Backend.cross_attentions`."""
        return cross_attentions(self._model.Qformer.bert, "self")

    def fingerprint(self) -> str:
        """See `Backend.fingerprint`."""
        return weights_digest(
            {"lavis": self._model.visual_encoder, "ln_vision": self._model.ln_vision}
        )

    def image_embeds(self, pixels: Tensor) -> Tensor:
        """See `Backend.image_embeds`."""
        check_pixels(pixels, self.image_size)
        with self._autocast():
            seen = self._model.visual_encoder(pixels.to(self.device, self.dtype))
            embeds: Tensor = self._model.ln_vision(seen)
        return embeds.to(self.dtype)

    def image_queries(self, image_embeds: Tensor) -> Tensor:
        """See `Backend.image_queries`."""
        states = self._states(
            query_embeds=self._queries(len(image_embeds)), image_embeds=image_embeds
        )
        return functional.normalize(self._model.vision_proj(states).float(), dim=-1)

    def text_embedding(self, tokens: Tokens) -> Tensor:
        """See `Backend.text_embedding`."""
        states = self._states(
            input_ids=tokens.ids.to(self.device), attention_mask=tokens.mask.to(self.device)
        )
        return functional.normalize(self._model.text_proj(states[:, 0]).float(), dim=-1)

    def itm_logits(self, image_embeds: Tensor, tokens: Tokens) -> Tensor:
        """See `Backend.itm_logits`."""
        queries = self._queries(len(image_embeds))
        count = queries.shape[1]
        mask = tokens.mask.to(self.device)
        states = self._states(
            input_ids=tokens.ids.to(self.device),
            query_embeds=queries,
            attention_mask=torch.cat([mask.new_ones(len(mask), count), mask], dim=1),
            image_embeds=image_embeds,
        )
        logits: Tensor = self._model.itm_head(states[:, :count])[..., 1].float().mean(dim=1)
        return logits

    def _states(self, *, image_embeds: Tensor | None = None, **inputs: Any) -> Tensor:
        if image_embeds is not None:
            given = image_embeds.to(self.device, self._model.query_tokens.dtype)
            inputs["encoder_hidden_states"] = given
            inputs["encoder_attention_mask"] = torch.ones(
                given.shape[:2], dtype=torch.long, device=self.device
            )
        states: Tensor = self._model.Qformer.bert(**inputs, return_dict=True).last_hidden_state
        return states

    def _autocast(self) -> AbstractContextManager[Any]:
        """Return LAVIS's own mixed precision, by which a vision encoder in float16 runs."""
        autocast = getattr(self._model, "maybe_autocast", None)
        return nullcontext() if autocast is None else autocast()
