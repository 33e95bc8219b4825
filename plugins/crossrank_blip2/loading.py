"""Loading a checkpoint: a BLIP-2 of transformers, its weights complete, and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossrank.errors import InputError, ParameterError
from crossrank.plugin.hub import Checkpoint, check_vocabulary, check_weights
from crossrank.plugin.optional import required
from crossrank.plugin.torch_device import check_device


def source_of(
    name: str | Path,
    revision: str | None = None,
    local_files_only: bool = False,
    parameter: str = "model",
) -> Checkpoint:
    """Return where model or tokenizer lie."""
    return Checkpoint(
        "blip2",
        str(name),
        revision,
        local_files_only,
        parameter,
        files="config.json, the weights, and the tokenizer (or give tokenizer=)",
    )


def load_checkpoint(source: Checkpoint, device: str, dtype: str) -> Any:
    """Load a ``Blip2ForImageTextRetrieval`` from a folder, the cache or the hub.

    Whatever is wrong with it is one error; see `crossrank.plugin.hub.Checkpoint.load`.
    """
    for package in ("torch", "transformers"):
        required(package, "blip2", "the reranker 'blip2'")
    check_device("blip2", device)
    return source.load(lambda where: _model(source.name, dtype, where)).to(device)


def load_tokenizer(tokenizer: Any, local_files_only: bool = False) -> Any:
    """Return a tokenizer, which may be given as one, as a `Checkpoint`, a folder or a name."""
    if isinstance(tokenizer, str | Path):
        tokenizer = source_of(tokenizer, None, local_files_only, "tokenizer")
    if isinstance(tokenizer, Checkpoint):
        source = tokenizer
        return source.load(lambda where: _tokenizer(source.name, where))
    if not callable(tokenizer):
        raise InputError(
            f"blip2: the tokenizer is a {type(tokenizer).__name__}; give one of transformers, "
            "its folder or its name"
        )
    return tokenizer


def _model(name: str, dtype: str, where: Mapping[str, Any]) -> Any:
    import torch
    import transformers

    config, _ = transformers.PretrainedConfig.get_config_dict(name, **where)
    if config.get("model_type") != "blip-2":
        raise ParameterError(
            f"blip2: {name} is a model of type {config.get('model_type')!r}, not a BLIP-2; "
            "give one such as Salesforce/blip2-itm-vit-g"
        )
    kind: Any = transformers.Blip2ForImageTextRetrieval
    model, report = kind.from_pretrained(
        name,
        dtype=torch.float32,
        output_loading_info=True,
        trust_remote_code=False,
        ignore_mismatched_sizes=True,  # they are refused below, with a message that says which
        **where,
    )
    check_weights(report)
    # the Q-Former is a tenth of the weights, and half precision in it moves the logits
    model.vision_model.to(getattr(torch, dtype))
    return model


def _tokenizer(name: str, where: Mapping[str, Any]) -> Any:
    transformers = required("transformers", "blip2", "the reranker 'blip2'")
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False, **where)
    check_vocabulary(tokenizer)
    return tokenizer
