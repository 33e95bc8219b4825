"""Loading a checkpoint, with one clear error for everything that can be wrong with it.

What the cache holds is used without asking the hub; the hub is asked for what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from crossrank.errors import (
    CrossrankError,
    MissingPackageError,
    ParameterError,
    StoreError,
    missing_package,
)
from crossrank_clip.parameters import ClipParameters
from crossrank_clip.source import ask_hub, first_line, local_folder, unreachable

FAMILIES = ("altclip", "chinese_clip", "clip", "metaclip_2", "siglip", "siglip2")
"""The values of ``model_type`` whose towers this encoder knows how to project."""

UNUSED_WEIGHTS = {"logit_scale", "logit_bias"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
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


class _IncompleteError(Exception):
    """The files of a checkpoint are missing or damaged."""


def load_checkpoint(params: ClipParameters) -> Checkpoint:
    """Load model, image processor and tokenizer from a folder, the cache or the hub.

    Raises
    ------
    MissingPackageError
        If torch, transformers, or what the tokenizer needs is not installed.
    ParameterError
        If the model is not of the CLIP family, or the device cannot be used.
    StoreError
        If a folder holds no complete checkpoint.
    PluginError
        If the cache does not hold the model, and the hub cannot be reached or does not have it.
    """
    _package("transformers")
    _check_device(params.device)
    folder = local_folder(params)
    if folder is not None:
        try:
            return _read(str(folder), params, local=True)
        except _IncompleteError as error:
            raise StoreError(
                f"clip: the folder {folder} holds no complete checkpoint: {error}; it needs "
                "config.json, the weights, and the files of tokenizer and image processor"
            ) from error
    try:
        return _read(str(params.model), params, local=True)
    except _IncompleteError as error:
        if params.local_files_only:
            raise unreachable(params, f"local_files_only is set ({error})") from error
    ask_hub(params)
    try:
        return _read(str(params.model), params, local=False)
    except _IncompleteError as error:
        raise unreachable(params, f"loading it from the hub failed ({error})") from error


def _read(source: str, params: ClipParameters, *, local: bool) -> Checkpoint:
    try:
        return _parts(source, params, local=local)
    except CrossrankError:
        raise
    except ImportError as error:  # the tokenizers of some families need packages of their own
        raise MissingPackageError(
            f"clip: the model {source!r} needs another package: {first_line(error)}; "
            'pip install "crossrank[clip]"'
        ) from error
    except Exception as error:  # every file format brings exceptions of its own
        raise _IncompleteError(first_line(error)) from error


def _parts(source: str, params: ClipParameters, *, local: bool) -> Checkpoint:
    torch, transformers = _package("torch"), _package("transformers")
    where = {"revision": params.revision, "local_files_only": local}
    config, _ = transformers.PretrainedConfig.get_config_dict(source, **where)
    _check_family(source, config.get("model_type"))
    where["trust_remote_code"] = False
    old = int(transformers.__version__.partition(".")[0]) < 5
    model, report = transformers.AutoModel.from_pretrained(
        source, dtype=getattr(torch, params.dtype), output_loading_info=True, **where
    )
    lacking = sorted(set(report["missing_keys"]) - UNUSED_WEIGHTS)
    if lacking:
        raise _IncompleteError(f"it lacks {len(lacking)} weights, among them {lacking[0]}")
    image_processor = transformers.AutoImageProcessor.from_pretrained(
        source, **({"use_fast": False} if old else {"backend": "pil"}), **where
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(source, **where)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        # transformers 5 makes up a tokenizer without words where the files are missing
        raise _IncompleteError("the vocabulary of the tokenizer is missing")
    return Checkpoint(model.eval().to(params.device), image_processor, tokenizer)


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise missing_package(name, "clip", "the encoder 'clip'") from error


def _check_family(source: str, family: object) -> None:
    if family not in FAMILIES:
        raise ParameterError(
            f"clip: {source} is a model of type {family!r}, not of the CLIP family; "
            f"give a checkpoint of one of the types {', '.join(FAMILIES)}"
        )


def _check_device(device: str) -> None:
    torch = _package("torch")
    try:
        torch.empty(0, device=device)
    except Exception as error:  # RuntimeError, AssertionError or NotImplementedError, by backend
        raise ParameterError(
            f"clip: torch cannot use the device {device!r} here: {first_line(error)}; "
            "give device='cpu'"
        ) from error
