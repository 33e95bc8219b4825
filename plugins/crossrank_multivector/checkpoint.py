"""Loading a checkpoint: one of three families, its weights complete, its own way to read items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossrank.errors import ParameterError
from crossrank.plugin.hub import Checkpoint, check_vocabulary, check_weights
from crossrank.plugin.optional import required
from crossrank.plugin.torch_device import check_device
from crossrank_multivector.parameters import MultiVectorParameters

FAMILIES = {"colmodernvbert": "ColModernVBert", "colpali": "ColPali", "colqwen2": "ColQwen2"}
"""How the classes of transformers begin, by the ``model_type`` of config.json."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with its processor.

    Parameters
    ----------
    family
        One of `FAMILIES`.
    model
        In evaluation mode, on its device.
    processor
        Of the same family; not thread-safe.
    """

    family: str
    model: Any
    processor: Any


def source_of(params: MultiVectorParameters) -> Checkpoint:
    """Return where the checkpoint lies."""
    return Checkpoint(
        "multivector",
        str(params.model),
        params.revision,
        params.local_files_only,
        files="config.json, the weights, and the files of tokenizer and processor",
        requires="config.json",
    )


def load_checkpoint(params: MultiVectorParameters) -> Loaded:
    """Load model and processor from a folder, the cache or the hub.

    Whatever is wrong with it is one error; see `crossrank.plugin.hub.Checkpoint.load`.
    """
    source = source_of(params)
    source.folder()  # a wrong path is told before torch takes its time
    for package in ("torch", "transformers"):
        required(package, "multivector", "the encoder 'multivector'")
    check_device("multivector", params.device, params.dtype)
    return source.load(lambda where: _read(params, where))


def _read(params: MultiVectorParameters, where: Mapping[str, Any]) -> Loaded:
    import torch
    import transformers

    name, options = str(params.model), {**where, "trust_remote_code": False}
    config, _ = transformers.PretrainedConfig.get_config_dict(name, **where)
    family = str(config.get("model_type"))
    model_class, processor_class = _classes(name, family, transformers)
    model, report = model_class.from_pretrained(
        name, dtype=getattr(torch, params.dtype), output_loading_info=True, **options
    )
    check_weights(report)
    processor = processor_class.from_pretrained(name, backend="pil", **options)
    check_vocabulary(processor.tokenizer)
    _limit_pixels(processor.image_processor, params)
    return Loaded(family, model.eval().to(params.device), processor)


def _classes(name: str, family: str, transformers: Any) -> tuple[Any, Any]:
    prefix = FAMILIES.get(family)
    if prefix is None:
        raise ParameterError(
            f"multivector: {name} is a model of type {family!r}; give a checkpoint of one of the "
            f"types {', '.join(FAMILIES)}"
        )
    try:
        return (
            getattr(transformers, f"{prefix}ForRetrieval"),
            getattr(transformers, f"{prefix}Processor"),
        )
    except (AttributeError, ImportError) as error:
        raise ParameterError(
            f"multivector: transformers {transformers.__version__} has no {prefix}ForRetrieval "
            "that can be imported; install a newer transformers, and a torchvision that fits the "
            "installed torch or none"
        ) from error


def _limit_pixels(pictures: Any, params: MultiVectorParameters) -> None:
    given = {"shortest_edge": params.min_pixels, "longest_edge": params.max_pixels}
    asked = {edge: pixels for edge, pixels in given.items() if pixels is not None}
    if not asked:
        return
    if not hasattr(pictures, "merge_size"):
        raise ParameterError(
            "multivector: min_pixels and max_pixels are for families that keep a picture's shape; "
            f"{type(pictures).__name__} does not, so leave them out"
        )
    # here these two are numbers of pixels, whatever they are called
    pictures.size = {**dict(pictures.size), **asked}
