"""Tiny BLIP-2 models of transformers with random weights, and a WordPiece tokenizer: no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from crossrank.testing._data import ADJECTIVES, NOUNS
from toys.tiny_tokenizers import transformers

IMAGE, PATCH, QUERIES, WIDTH = 32, 8, 5, 24
WORDS = (
    *("a", "an", "and", "black", "brown", "cat", "cats", "grass", "in", "of", "on", "red", "runs"),
    *("the", "two", "man", "with"),
    *NOUNS,
    *ADJECTIVES,
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary() -> list[str]:
    """Return the words, then all letters, alone and within words."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789',-?"
    pieces = [*SPECIAL, *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    return list(dict.fromkeys(pieces))


def make_tokenizer(folder: Path) -> Any:
    """Return BERT's tokenizer with a small vocabulary, written to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab_file=str(path), vocab=str(path))
    tokenizer.save_pretrained(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


def make_config(image_token_index: int | None = None, **vision: Any) -> Any:
    """Return the config of a model with two vision layers and three of the Q-Former."""
    return transformers.Blip2Config(
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "image_size": IMAGE,
            "patch_size": PATCH,
            **vision,
        },
        qformer_config={
            "vocab_size": len(vocabulary()),
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 64,
            "cross_attention_frequency": 2,
            "use_qformer_text_input": True,
        },
        text_config={"model_type": "opt", "num_hidden_layers": 1, "hidden_size": 16, "ffn_dim": 16},
        num_query_tokens=QUERIES,
        image_text_hidden_size=12,
        image_token_index=image_token_index,
    )


def make_model(
    *, image_token_index: int | None = None, attention: str = "eager", seed: int = 0, **vision: Any
) -> Any:
    """Return a model in evaluation mode whose outputs differ by more than rounding.

    Parameters
    ----------
    image_token_index
        Of the config.
    attention
        ``"eager"`` or ``"sdpa"``.
    seed
        The same seed, the same weights.
    **vision
        Settings of the vision encoder that differ from the usual ones.
    """
    torch.manual_seed(seed)
    config = make_config(image_token_index, **vision)
    model = transformers.Blip2ForImageTextRetrieval._from_config(
        config, attn_implementation=attention
    )
    randomise(model)
    return model.eval()


def randomise(model: Any) -> None:
    """Draw all weights anew, in the order of their names, and so that layers matter."""
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
