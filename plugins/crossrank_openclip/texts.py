"""Texts in, tokens and features out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrank import Feature
from crossrank_clip.texts import Tokens, text_features
from crossrank_openclip.checkpoint import Checkpoint


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Tokens:
    """Cut texts into tokens with the model's tokenizer, which no other thread may use meanwhile."""
    ids = tokenizer(list(texts))
    inner = getattr(tokenizer, "tokenizer", None)
    rows = ids.tolist()
    if inner is None:
        limit, added = tokenizer.context_length, 2
        words = _between(ids.numpy(), tokenizer.sot_token_id, tokenizer.eot_token_id)
        lengths = [len(tokenizer.encode(text)) + added for text in texts]
        pieces = [
            [tokenizer.decode([id]).strip() for id, own in zip(row, mask, strict=True) if own]
            for row, mask in zip(rows, words, strict=True)
        ]
    else:
        limit = tokenizer.context_length
        special = set(inner.all_special_ids)
        words = np.array([[id not in special for id in row] for row in rows])
        cleaned = getattr(tokenizer, "clean_fn", str)
        lengths = [len(inner(cleaned(text), truncation=False)["input_ids"]) for text in texts]
        pieces = [
            [_said(inner, id) for id, own in zip(row, mask, strict=True) if own]
            for row, mask in zip(rows, words, strict=True)
        ]
    cut = sum(length > limit for length in lengths)
    return Tokens({"ids": ids}, words, pieces, cut)


def encode_tokens(
    checkpoint: Checkpoint, tokens: Tokens, features: Sequence[str]
) -> dict[str, Feature]:
    """Return features of some texts; see `crossrank_clip.texts.encode_tokens`."""
    model, ids = checkpoint.model, tokens.inputs["ids"].to(checkpoint.device)
    with torch.inference_mode():
        pooled, states, last = _see(model, ids)
        return text_features(tokens, features, pooled, states, lambda: _projected(last, states))


def _see(model: Any, ids: Tensor) -> tuple[Tensor, Tensor, Any]:
    """Return the pooled ``[N, D]``, the words' states ``[N, L, H]``, and the last projection."""
    tower: Any = getattr(model, "text", None)
    if type(tower).__name__ == "HFTextEncoder":
        mask = (ids != tower.config.pad_token_id).long()
        found = tower.transformer(input_ids=ids, attention_mask=mask)
        return tower.proj(tower.pooler(found, mask)), found.last_hidden_state, tower.proj
    seen = model.forward_intermediates(
        text=ids,
        text_indices=1,
        normalize=False,
        normalize_intermediates=True,
        **({} if tower is None else {"text_output_fmt": "NLC"}),
    )
    last = (model if tower is None else tower).text_projection
    return seen["text_features"], seen["text_intermediates"][-1], last


def _projected(last: Any, states: Tensor) -> Tensor:
    if last is None:
        return states
    return states @ last if isinstance(last, torch.nn.Parameter) else last(states)


def _between(ids: NDArray[np.int64], begin: int, end: int) -> NDArray[np.bool_]:
    """Mark what lies between the begin of a text and its first end."""
    after = np.cumsum(ids == end, axis=1) > 0
    words: NDArray[np.bool_] = ~after & (ids != begin)
    return words


def _said(inner: Any, id: int) -> str:
    return str(inner.decode([id])).strip().removeprefix("##")
