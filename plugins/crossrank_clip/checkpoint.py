"""Loading a checkpoint: one of the CLIP family, its weights complete, with its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossrank.errors import ParameterError
from crossrank.plugin.hub import Checkpoint, check_vocabulary, check_weights
from crossrank.plugin.optional import required
from crossrank.plugin.torch_device import check_device
from crossrank_clip.parameters import ClipParameters

FAMILIES = ("altclip", "chinese_clip", "clip", "metaclip_2", "siglip", "siglip2")
"""The values of ``model_type`` whose towers this encoder knows how to project."""

UNUSED_WEIGHTS = {"logit_scale", "logit_bias"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model with its own preprocessing.

    Parameters
    ----------
    model
        A transformers model of one of `FAMILIES`, in evaluation mode, on its device.
    image_processor
        The PIL one, so that features do not depend on whether torchvision is installed.
    tokenizer
        Not thread-safe: its padding is a setting, not an argument.
    """

    model: Any
    image_processor: Any
    tokenizer: Any

    @property
    def family(self) -> str:
        """The ``model_type``, one of `FAMILIES`."""
        return str(self.model.config.model_type)


def source_of(params: ClipParameters) -> Checkpoint:
    """Return where the checkpoint lies."""
    return Checkpoint(
        "clip",
        str(params.model),
        params.revision,
        params.local_files_only,
        requires="config.json",
    )


def load_checkpoint(params: ClipParameters) -> Loaded:
    """Load model, image processor and tokenizer from a folder, the cache or the hub.

    Whatever is wrong with it is one error; see `crossrank.plugin.hub.Checkpoint.load`.
    """
    for package in ("torch", "transformers"):
        required(package, "clip", "the encoder 'clip'")
    check_device("clip", params.device)
    return source_of(params).load(lambda where: _read(params, where))


def _read(params: ClipParameters, where: Mapping[str, Any]) -> Loaded:
    import torch
    import transformers

    name, options = str(params.model), {**where, "trust_remote_code": False}
    config, _ = transformers.PretrainedConfig.get_config_dict(name, **where)
    family = config.get("model_type")
    if family not in FAMILIES:
        raise ParameterError(
            f"clip: {name} is a model of type {family!r}, not of the CLIP family; "
            f"give a checkpoint of one of the types {', '.join(FAMILIES)}"
        )
    old = int(transformers.__version__.partition(".")[0]) < 5
    model, report = transformers.AutoModel.from_pretrained(
        name, dtype=getattr(torch, params.dtype), output_loading_info=True, **options
    )
    check_weights(report, UNUSED_WEIGHTS)
    processors: Any = transformers.AutoImageProcessor
    image_processor = processors.from_pretrained(
        name, **({"use_fast": False} if old else {"backend": "pil"}), **options
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, **options)
    check_vocabulary(tokenizer)
    return Loaded(model.eval().to(params.device), image_processor, tokenizer)
