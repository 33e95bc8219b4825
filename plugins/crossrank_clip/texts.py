"""Texts in, tokens and features out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from crossrank import Feature
from crossrank_clip.checkpoint import Loaded
from crossrank_clip.towers import project_words, see_texts, to_array, to_ragged, unit

UNMASKED = ("siglip", "siglip2")
"""Trained on lower-case texts, padded to the full length and without an attention mask."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Some texts, cut into tokens.

    Parameters
    ----------
    inputs
        What the text tower takes: ``[N, L]`` tensors.
    words
        ``[N, L]``; True where a token is a piece of the text, False for those that the tokenizer
        adds: begin, end and padding.
    pieces
        What each piece of a text says.
    cut
        How many texts were longer than the model allows, and were cut.
    """

    inputs: dict[str, Tensor]
    words: NDArray[np.bool_]
    pieces: list[list[str]]
    cut: int


def tokenize(checkpoint: Loaded, texts: Sequence[str]) -> Tokens:
    """Cut texts into tokens as the model was trained on; no other thread may use it meanwhile."""
    unmasked = checkpoint.family in UNMASKED
    if unmasked:
        texts = [text.lower() for text in texts]
    tokenizer, limit = checkpoint.tokenizer, longest(checkpoint)
    found = tokenizer(
        list(texts),
        padding="max_length" if unmasked else "longest",
        padding_side="right",
        truncation=True,
        max_length=limit,
        return_attention_mask=True,
        return_special_tokens_mask=True,
        return_offsets_mapping=tokenizer.is_fast,
        return_tensors="pt",
    )
    mask = found["attention_mask"].numpy().astype(bool)
    words = mask & ~found["special_tokens_mask"].numpy().astype(bool)
    full = [text for text, used in zip(texts, mask.sum(axis=1), strict=True) if used == limit]
    whole = tokenizer(full, truncation=False, verbose=False)["input_ids"] if full else []
    names = ("input_ids",) if unmasked else ("input_ids", "attention_mask")
    return Tokens(
        {name: found[name] for name in names},
        words,
        [_pieces(tokenizer, found, row, text, words[row]) for row, text in enumerate(texts)],
        sum(len(ids) > limit for ids in whole),
    )


def encode_tokens(
    checkpoint: Loaded, tokens: Tokens, features: Sequence[str]
) -> dict[str, Feature]:
    """Return features of some texts.

    Returns
    -------
    dict
        ``embedding`` ``[N, D]`` and ``tokens`` ragged ``[L_n, D]``, unit rows; ``words`` ragged
        ``[L_n, H]``, the raw states; all float32.  ``token_text``: N lists of str.
    """
    model = checkpoint.model
    seen = see_texts(model, {name: each.to(model.device) for name, each in tokens.inputs.items()})
    projected = partial(project_words, model, seen.states)
    return text_features(tokens, features, seen.pooled, seen.states, projected)


def text_features(
    tokens: Tokens,
    features: Sequence[str],
    pooled: Tensor,
    states: Tensor,
    projected: Callable[[], Tensor],
) -> dict[str, Feature]:
    """Return features from what a text tower made; see `encode_tokens`."""
    make: dict[str, Callable[[], Feature]] = {
        "embedding": lambda: to_array(unit(pooled)),
        "tokens": lambda: to_ragged(unit(projected()), tokens.words),
        "token_text": lambda: tokens.pieces,
        "words": lambda: to_ragged(states, tokens.words),
    }
    return {name: make[name]() for name in features}


def longest(checkpoint: Loaded) -> int:
    """Return how many tokens the model can read, begin and end included."""
    config = checkpoint.model.config.text_config
    positions = int(config.max_position_embeddings)
    if checkpoint.family == "altclip":  # RoBERTa counts positions from behind that of the padding
        positions -= int(config.pad_token_id) + 1
    return min(positions, int(checkpoint.tokenizer.model_max_length))


def _pieces(tokenizer: Any, found: Any, row: int, text: str, words: NDArray[np.bool_]) -> list[str]:
    if tokenizer.is_fast:
        spans = found["offset_mapping"][row].numpy()[words].tolist()
        return [text[start:end].strip() for start, end in spans]
    ids = found["input_ids"][row].numpy()[words].tolist()
    return [tokenizer.decode([id]).strip() for id in ids]
