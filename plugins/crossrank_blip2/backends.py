"""The backend of whatever the user calls a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossrank.errors import InputError
from crossrank_blip2.backend import Backend
from crossrank_blip2.lavis_backend import LavisBackend
from crossrank_blip2.loading import load_checkpoint, load_tokenizer, source_of
from crossrank_blip2.transformers_backend import TransformersBackend


def backend_of(
    model: Any,
    tokenizer: Any = None,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    device: str = "cpu",
    dtype: str = "float32",
) -> Backend:
    """Return the backend of a model.

    Parameters
    ----------
    model
        A ``Blip2ForImageTextRetrieval`` of transformers, a LAVIS model object, a `Backend`, a
        folder that holds a checkpoint, or the name of one on the model hub.  An object stays where
        and as it is, but for being put into evaluation mode.
    tokenizer
        A tokenizer, or its folder or name; see `Blip2Parameters`.
    revision, local_files_only, device, dtype
        See `Blip2Parameters`; for a model that is loaded here.

    Raises
    ------
    InputError
        If it is none of these, or lacks a part.
    CrossrankError
        If it cannot be loaded; see `load_checkpoint`.
    """
    if isinstance(model, Backend):
        return model
    if isinstance(model, str | Path):
        source = source_of(model, revision, local_files_only)
        loaded = load_checkpoint(source, device, dtype)
        if tokenizer is None:
            tokenizer = source
        return TransformersBackend(loaded, load_tokenizer(tokenizer, local_files_only))
    if hasattr(model, "Qformer"):
        given = None if tokenizer is None else load_tokenizer(tokenizer, local_files_only)
        return LavisBackend(model, given)
    if hasattr(model, "qformer"):
        if tokenizer is None:
            tokenizer = _own_tokenizer(model)
        return TransformersBackend(model, load_tokenizer(tokenizer, local_files_only))
    raise InputError(
        f"blip2: a {type(model).__name__} is no BLIP-2; give a Blip2ForImageTextRetrieval of "
        "transformers, a LAVIS model (both have a Q-Former), a folder or a name on the hub"
    )


def _own_tokenizer(model: Any) -> Any:
    """Return what came with a model object, or the one that every BLIP-2 was trained with."""
    carried = getattr(model, "tokenizer", None)
    if carried is not None:
        return carried
    name = str(getattr(model, "name_or_path", ""))
    return source_of(name if name else "bert-base-uncased", parameter="tokenizer")
