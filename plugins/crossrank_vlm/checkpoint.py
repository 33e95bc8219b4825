"""Loading a checkpoint: model, tokenizer, processor of pictures, head."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank.errors import ParameterError, StoreError
from crossrank.plugin.hub import Checkpoint, check_vocabulary, check_weights
from crossrank.plugin.optional import required
from crossrank.plugin.torch_device import check_device
from crossrank_vlm.families import FAMILIES, Family
from crossrank_vlm.heads import (
    Head,
    answer_ids,
    head_tensors,
    layer_head,
    token_head,
    weight_files,
)
from crossrank_vlm.parameters import VlmParameters
from crossrank_vlm.presets import Preset
from crossrank_vlm.prompts import Prompter
from crossrank_vlm.saved_cross_encoder import as_saved, settings_in

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """All of a checkpoint that is needed.

    Parameters
    ----------
    model
        In evaluation mode, on its device; its base model is ``model.model``.
    tokenizer
        Not thread-safe.
    family
        How it sees pictures.
    prompter
        How it is asked.
    head
        From hidden states to scores.
    bias, sigmoid
        What is done to them then.
    """

    model: Any
    tokenizer: Any
    family: Family
    prompter: Prompter
    head: Head
    bias: float
    sigmoid: bool


def source_of(params: VlmParameters) -> Checkpoint:
    """Return where the checkpoint lies."""
    return Checkpoint(
        "vlm",
        str(params.model),
        params.revision,
        params.local_files_only,
        extra="vlm",
        files="config.json, the weights, and the files of tokenizer and image processor",
        requires="config.json",
    )


def load_checkpoint(params: VlmParameters, device: str, dtype: str) -> Loaded:
    """Load everything from a folder, the cache or the hub; no code out of it is run.

    Whatever is wrong with it is one error; see `crossrank.plugin.hub.Checkpoint.load`.
    """
    source = source_of(params)
    source.folder()  # a wrong path is told before torch takes its time
    for package in ("torch", "transformers", "jinja2"):
        required(package, "vlm", "the reranker 'vlm'")
    check_device("vlm", device, dtype)
    return source.load(lambda where: _read(params, where, device, dtype))


def _read(params: VlmParameters, where: Mapping[str, Any], device: str, dtype: str) -> Loaded:
    import torch
    import transformers

    name, options = str(params.model), {**where, "trust_remote_code": False}
    config, _ = transformers.PretrainedConfig.get_config_dict(name, **where)
    kind = _family(name, config)
    model, report = _model_class(transformers).from_pretrained(
        name, dtype=getattr(torch, dtype), output_loading_info=True, **options
    )
    asked = params.asked
    if params.preset == "sentence-transformers":
        asked = as_saved(params, Path(name).expanduser())
    check_weights(report, {"lm_head.weight"} if asked.head != "tokens" else ())
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    check_vocabulary(tokenizer)
    old = int(transformers.__version__.partition(".")[0]) < 5
    processor: Any = transformers.AutoImageProcessor
    pictures = processor.from_pretrained(
        name, **({"use_fast": False} if old else {"backend": "pil"}), **options
    )
    family = kind(model.config, pictures)
    family.limit(params.min_pixels, params.max_pixels, asked.image_tokens)
    if getattr(tokenizer, "chat_template", None) is None:
        tokenizer.chat_template = _chat_template(Path(name)) or family.template
    if params.lora is not None:
        model = _adapted(model, str(params.lora))
    model = model.eval().requires_grad_(False).to(device)
    head = _head(params, asked, model, tokenizer, set(report["unexpected_keys"]), device)
    prompter = Prompter(asked, tokenizer, family)
    return Loaded(model, tokenizer, family, prompter, head, asked.bias, asked.sigmoid)


def _family(name: str, config: Mapping[str, Any]) -> type[Family]:
    kind = str(config.get("model_type"))
    if kind in FAMILIES and config.get("vision_config") is not None:
        return FAMILIES[kind]
    seen = "" if config.get("vision_config") else ", which has no vision tower"
    raise ParameterError(
        f"vlm: {name} is a model of type {kind!r}{seen}; give a checkpoint of one of the types "
        f"{', '.join(FAMILIES)}"
    )


def _model_class(transformers: Any) -> Any:
    try:
        return transformers.AutoModelForImageTextToText
    except (AttributeError, ImportError, RuntimeError) as error:
        said = str(error).strip().partition("\n")[0]
        raise ParameterError(
            f"vlm: transformers {transformers.__version__} cannot import its vision–language "
            f"models ({said}); install a newer transformers, and a torchvision that was built for "
            "the installed torch, or none: pip uninstall torchvision"
        ) from error


def _adapted(model: Any, folder: str) -> Any:
    if not (Path(folder).expanduser() / "adapter_config.json").is_file():
        raise StoreError(
            f"vlm: lora={folder!r} is no folder with an adapter_config.json; give the one that "
            "peft's save_pretrained() wrote"
        )
    peft = required("peft", "lora", "vlm, with lora=,")
    try:
        # an adapter has no code of its own; said aloud as for every loader
        adapted = peft.PeftModel.from_pretrained(model, folder, trust_remote_code=False)
        return adapted.merge_and_unload()
    except Exception as error:  # of peft: by what does not fit
        raise StoreError(
            f"vlm: the adapter in {folder} does not fit the model: {type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0]}; give the one trained on this model"
        ) from error


def _head(
    params: VlmParameters,
    asked: Preset,
    model: Any,
    tokenizer: Any,
    extra: set[str],
    device: str,
) -> Head:
    folder = Path(str(params.model)).expanduser()
    if asked.head == "tokens":
        if extra:
            logger.warning(
                "vlm: the checkpoint %s holds %d tensors that the model has no place for: %s",
                params.model,
                len(extra),
                ", ".join(sorted(extra)[:8]),
            )
        true = answer_ids(tokenizer, asked.true, "true")
        return token_head(model, true, answer_ids(tokenizer, asked.false, "false"))
    from safetensors import safe_open

    held = {}
    for path in weight_files(folder) if folder.is_dir() else _cached(params):
        with safe_open(path, "pt") as file:
            for key in set(file.keys()) & extra:
                held[key] = file.get_tensor(key)
    tensors = head_tensors(asked.head, held, str(params.model))
    return layer_head(asked.head, tensors, device)


def _cached(params: VlmParameters) -> list[Path]:
    """Return the weight files of a model of the hub, which the cache has by now."""
    from huggingface_hub import snapshot_download

    found = snapshot_download(
        str(params.model),
        revision=params.revision,
        allow_patterns=["*.safetensors"],
        local_files_only=True,
    )
    return weight_files(Path(found))


def _chat_template(folder: Path) -> str | None:
    """Return a processor's template, which older checkpoints keep apart from the tokenizer."""
    found = settings_in(folder / "chat_template.json").get("chat_template")
    return found if isinstance(found, str) else None
