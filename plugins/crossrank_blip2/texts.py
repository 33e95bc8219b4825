"""Texts, as BLIP-2 was trained to read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


MOST_WORDS = 50
MOST_TOKENS = 35
PUNCTUATION = re.compile(r'[.!"()*#:;~]')


@dataclass(frozen=True, slots=True)
class Tokens:
    """B texts, cut into tokens.

    Parameters
    ----------
    ids
        ``[B, L]`` int64, begin and end included, padded at the right.
    mask
        ``[B, L]`` int64: 1 for a token, 0 for padding.
    cut
        How many texts were longer than the model reads, and were cut.
    """

    ids: Tensor
    mask: Tensor
    cut: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> Tensor:
        """``[B]`` how many tokens each text has."""
        return self.mask.sum(dim=1)

    def take(self, rows: Any) -> Tokens:
        """Return some texts, without columns that are padding for all of them."""
        import torch

        chosen = torch.as_tensor(rows, dtype=torch.int64)
        ids, mask = self.ids[chosen], self.mask[chosen]
        width = int(mask.sum(dim=1).max()) if len(chosen) else 0
        return Tokens(ids[:, :width], mask[:, :width])


def prepare_text(text: str) -> tuple[str, bool]:
    """Write a text as in BLIP-2's training, and tell whether it was cut.

    Lower case, ``.!"()*#:;~`` and runs of white space become one blank, and the first 50 words are
    kept.
    """
    words = PUNCTUATION.sub(" ", text.lower()).split()
    return " ".join(words[:MOST_WORDS]), len(words) > MOST_WORDS


def tokenise(tokenizer: Any, texts: Sequence[str]) -> Tokens:
    """Cut texts into at most 35 tokens, begin and end included.

    Parameters
    ----------
    tokenizer
        Of transformers, any version: BERT's.
    texts
        As people write them; see `prepare_text`.
    """
    if not texts:
        import torch

        return Tokens(*torch.zeros((2, 0, 0), dtype=torch.int64))
    prepared = [prepare_text(text) for text in texts]
    whole = tokenizer([text for text, _ in prepared], truncation=False, verbose=False)["input_ids"]
    found = tokenizer(
        [text for text, _ in prepared],
        padding="longest",
        truncation=True,
        max_length=MOST_TOKENS,
        return_attention_mask=True,
        return_tensors="pt",
    )
    cut = [
        of_words or len(ids) > MOST_TOKENS
        for (_, of_words), ids in zip(prepared, whole, strict=True)
    ]
    return Tokens(found["input_ids"], found["attention_mask"], sum(cut))
