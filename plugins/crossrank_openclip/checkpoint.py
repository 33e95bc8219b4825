"""Building a model and loading its weights, all of them, or saying which do not fit."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from crossrank.errors import ParameterError, StoreError, missing_package
from crossrank.plugin.hub import first_line
from crossrank.plugin.torch_device import check_device
from crossrank_openclip.importing import open_clip
from crossrank_openclip.parameters import PRECISIONS, OpenClipParameters
from crossrank_openclip.preprocessing import Preprocessing
from crossrank_openclip.source import Recipe, recipe

SHOWN = 6
"""How many names of weights a message lists."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model with its own preprocessing.

    Parameters
    ----------
    model
        One of open_clip, in evaluation mode, on its device.
    tokenizer
        Its own; not thread-safe.
    preprocessing
        Its own.
    dtype
        The float type of its input, a ``torch.dtype``.
    device
        Where it lies.
    """

    model: Any
    tokenizer: Any
    preprocessing: Preprocessing
    dtype: Any
    device: str


def load_checkpoint(params: OpenClipParameters) -> Checkpoint:
    """Load a model of open_clip with its tokenizer.

    Raises
    ------
    CrossrankError
        `MissingPackageError` for a package that is not installed, `ParameterError` for what has to
        be given or does not go together, `StoreError` for weights that do not fit, `PluginError`
        where a hub does not answer.
    """
    module = open_clip()
    torch = import_module("torch")
    check_device("openclip", params.device)
    chosen = recipe(params)
    precision = PRECISIONS[params.dtype]
    with _quiet():
        model = _built(module, chosen, precision)
        tokenizer = _tokenizer(module, chosen)
        _load(model, chosen.weights, params)
    size = model.visual.image_size
    return Checkpoint(
        model.eval().to(params.device),
        tokenizer,
        Preprocessing.of(size, chosen.look),
        module.get_input_dtype(precision) or torch.float32,
        params.device,
    )


def _built(module: Any, chosen: Recipe, precision: str) -> Any:
    try:
        return module.create_model(
            chosen.name,
            load_weights=False,
            precision=precision,
            pretrained_text=False,
            quick_gelu=chosen.quick_gelu,
        )
    except ImportError as error:
        raise missing_package(
            error.name or "transformers", "openclip", f"openclip: the model {chosen.name}"
        ) from error
    except Exception as error:  # a config may hold anything
        raise StoreError(
            f"openclip: {chosen.name} cannot be built: {type(error).__name__}: {first_line(error)}"
        ) from error


def _tokenizer(module: Any, chosen: Recipe) -> Any:
    try:
        return module.get_tokenizer(chosen.name)
    except Exception as error:
        raise StoreError(
            f"openclip: the tokenizer of {chosen.name} cannot be loaded: {first_line(error)}"
        ) from error


def _load(model: Any, weights: Path, params: OpenClipParameters) -> None:
    """Load a state dict strictly: open_clip's own users often pass strict=False and see nothing."""
    from open_clip.factory import load_checkpoint as load_into
    from open_clip.factory import load_state_dict

    from crossrank_openclip.folding import fold, is_folded

    try:
        names = set(load_state_dict(str(weights), weights_only=True))
    except Exception as error:  # pickle, zip and safetensors bring exceptions of their own
        raise StoreError(
            f"openclip: {weights} is no state dict that can be read safely: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    merged = is_folded(names)
    if merged and not params.reparameterize:
        raise ParameterError(
            f"openclip: {weights.name} holds re-parameterised weights; give reparameterize=True"
        )
    if merged:
        fold(model)
    try:
        report = load_into(model, str(weights), strict=False, weights_only=True)
    except Exception as error:
        raise StoreError(
            f"openclip: {weights.name} is of another architecture than {params.model}: "
            f"{_second_line(error)}"
        ) from error
    _check_complete(report, weights, params.model)
    if params.reparameterize and not merged:
        fold(model.eval())


def _check_complete(report: Any, weights: Path, name: str) -> None:
    missing = sorted(getattr(report, "missing_keys", ()))
    extra = sorted(getattr(report, "unexpected_keys", ()))
    if missing or extra:
        raise StoreError(
            f"openclip: {weights.name} does not fit {name}: missing {_listed(missing)}; "
            f"not known {_listed(extra)}; check model="
        )


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "nothing"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _second_line(error: BaseException) -> str:
    """Return what torch says of the first weight that does not fit, below its headline."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else first_line(error)


class _Ours(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "open_clip" not in Path(record.pathname).parts


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip from logging to the root logger, and from configuring it, meanwhile."""
    root, ours, handler = logging.getLogger(), _Ours(), logging.NullHandler()
    root.addFilter(ours)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeFilter(ours)
        root.removeHandler(handler)
