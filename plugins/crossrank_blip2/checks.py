"""What is refused before a model runs into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from crossrank.errors import InputError
from crossrank_blip2.texts import Tokens


def require_attributes(model: Any, paths: Sequence[str], what: str) -> None:
    """Refuse an object that lacks an attribute, and name it."""
    for path in paths:
        place = model
        for name in path.split("."):
            if getattr(place, name, None) is None:
                raise InputError(
                    f"blip2: a {type(model).__name__} has no attribute {path!r}, which {what} for "
                    "image-text retrieval has; give such a model"
                )
            place = getattr(place, name)


def check_pixels(pixels: Tensor, size: int) -> None:
    """Refuse pictures of another size than the model's position embeddings are for."""
    if pixels.dim() != 4 or tuple(pixels.shape[1:]) != (3, size, size):
        raise InputError(
            f"blip2: pixels have the shape {list(pixels.shape)}, but the model's config says "
            f"[B, 3, {size}, {size}]; resize the pictures to {size}×{size}, as pixels() does"
        )


def check_tokens(tokens: Tokens, vocabulary: Any) -> Tokens:
    """Refuse tokens that the model has no embedding for."""
    highest = int(tokens.ids.max()) if tokens.ids.numel() else 0
    if highest >= vocabulary.num_embeddings:
        raise InputError(
            f"blip2: the tokenizer gives the token {highest}, but the model knows only "
            f"{vocabulary.num_embeddings}; give tokenizer= the one it was trained with"
        )
    return tokens


def is_compiled(model: Any) -> bool:
    """Tell whether torch has compiled a model or a part of it: hooks have no effect there."""
    waiting = [model] if isinstance(model, nn.Module) else []
    while waiting:  # asked before every pass, and much quicker than `modules()`
        module = waiting.pop()
        if "_orig_mod" in module._modules or module._compiled_call_impl is not None:
            return True
        waiting += [part for part in module._modules.values() if part is not None]
    return False
