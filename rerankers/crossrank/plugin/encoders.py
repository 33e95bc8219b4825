"""Encoders that are given by name, class or object, and what a collection remembers of one."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from typing import Any

from crossrank._items.fingerprint import fingerprint
from crossrank.errors import InputError, ParameterError
from crossrank.plugin.contract import Encoder
from crossrank.plugin.registry import load_encoder

MOST_SHARED = 4
"""So many encoders are kept; the one not asked for longest goes first."""

_shared: dict[tuple[type[Encoder], str], tuple[Encoder, str]] = {}
_lock = threading.RLock()  # an encoder may be made of another one


def as_encoder(encoder: str | type[Encoder] | Encoder, params: Mapping[str, Any]) -> Encoder:
    """Return a ready encoder for a name, class or object; of a name the shared one."""
    if isinstance(encoder, Encoder):
        if params:
            raise InputError("encode: this encoder is built already; give it its parameters there")
        return encoder
    if isinstance(encoder, str):
        return shared_encoder(encoder, params)
    if isinstance(encoder, type) and issubclass(encoder, Encoder):
        return encoder(**params)
    raise InputError(f"encode: {encoder!r} is neither an encoder's name nor an Encoder")


def shared_encoder(name: str, params: Mapping[str, Any] | None = None) -> Encoder:
    """Return the process's one encoder of a name and parameters, made when it is first asked for.

    Loading weights takes longer than using them, and six threads that each load them take six times
    the memory.  One whose fingerprint has changed since, because a file of weights was replaced, is
    made anew.

    Parameters
    ----------
    name
        Of an installed encoder.
    params
        Its parameters.  An encoder with parameters that have no fingerprint is not shared.

    Raises
    ------
    UnknownPluginError, PluginError
        If there is no such encoder, or it cannot be loaded.
    ParameterError
        On parameters it refuses.
    """
    kind = load_encoder(name)
    given = {} if params is None else dict(params)
    try:
        key = kind, fingerprint(given) if given else ""
    except ParameterError:
        return kind(**given)
    with _lock:
        encoder, known = _shared.pop(key, (None, ""))
        now = "" if encoder is None else encoder.fingerprint()
        if encoder is None or known not in ("", now):
            encoder, now = kind(**given), ""
        _shared[key] = encoder, now
        while len(_shared) > MOST_SHARED:
            del _shared[next(iter(_shared))]
        return encoder


def with_device(
    encoder: str | type[Encoder] | Encoder, params: Mapping[str, Any], device: str | None
) -> dict[str, Any]:
    """Return an encoder's parameters with the device on which it should compute.

    Raises
    ------
    ParameterError
        If it does not know of devices, or is built already for another one.
    """
    if device is None:
        return dict(params)
    if isinstance(encoder, Encoder):
        if getattr(encoder.params, "device", "cpu") == device:
            return dict(params)
        raise ParameterError(
            f"encode: this encoder {encoder.info.name!r} is built already, for another device than "
            f"{device!r}; give it there"
        )
    kind = load_encoder(encoder) if isinstance(encoder, str) else encoder
    known = {each.name for each in dataclasses.fields(kind.Parameters)}
    if "device" in known:
        return {**params, "device": device}
    if device == "cpu":
        return dict(params)
    raise ParameterError(
        f"encode: the encoder {kind.info.name!r} computes on the CPU alone; leave device out"
    )


def maker_name(encoder: Encoder) -> str:
    """Return what a collection remembers of its encoder: name and fingerprint."""
    return f"{encoder.info.name}:{encoder.fingerprint()[:16]}"


__all__ = ["as_encoder", "maker_name", "shared_encoder", "with_device"]
