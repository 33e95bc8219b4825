"""Encoders that are given by name, class or object, and what a collection remembers of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossrank.errors import InputError
from crossrank.plugin.contract import Encoder
from crossrank.plugin.registry import load_encoder


def as_encoder(encoder: str | type[Encoder] | Encoder, params: Mapping[str, Any]) -> Encoder:
    """Return a ready encoder for a name, class or object."""
    if isinstance(encoder, Encoder):
        if params:
            raise InputError("encode: this encoder is built already; give it its parameters there")
        return encoder
    if isinstance(encoder, str):
        return load_encoder(encoder)(**params)
    if isinstance(encoder, type) and issubclass(encoder, Encoder):
        return encoder(**params)
    raise InputError(f"encode: {encoder!r} is neither an encoder's name nor an Encoder")


def maker_name(encoder: Encoder) -> str:
    """Return what a collection remembers of its encoder: name and fingerprint."""
    return f"{encoder.info.name}:{encoder.fingerprint()[:16]}"


__all__ = ["as_encoder", "maker_name"]
