"""Which encoder turns queries into features: the caller's, or that of the gallery."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from crossrank._items.collection import Collection
from crossrank.errors import FeatureMismatchError, UnknownPluginError
from crossrank.plugin.contract import Encoder
from crossrank.plugin.encoders import as_encoder, maker_name, shared_encoder
from crossrank.plugin.registry import load_encoder

DEFAULT = "lite"
MADE_BY = re.compile(r"(.+):[0-9a-f]{16}")
"""What `encode` writes into a collection; who fills one by hand may write anything."""


def encoder_of(
    encoder: str | type[Encoder] | Encoder | None,
    gallery: Collection | None,
    device: str,
    dtype: str,
) -> Encoder:
    """Return the encoder of a call.

    Parameters
    ----------
    encoder
        As the caller says; None for that of the gallery, or else ``"lite"``.
    gallery
        A stored one; None for loose items.
    device, dtype
        Of the run, for encoders by name that know these parameters.

    Raises
    ------
    FeatureMismatchError
        If the gallery was made by another encoder.
    """
    if encoder is not None and not isinstance(encoder, str):
        made = as_encoder(encoder, {})
    else:
        written = None if gallery is None else MADE_BY.fullmatch(gallery.encoder or "")
        name = encoder or (DEFAULT if written is None else written[1])
        try:
            made = shared_encoder(name, _settings(name, device, dtype))
        except UnknownPluginError as error:
            if encoder is None:
                raise UnknownPluginError(
                    f"rerank: the gallery was encoded by {name!r}, which is not installed here; "
                    "give encoder= the object that made it"
                ) from error
            raise
    if gallery is not None:
        check_maker(gallery, made)
    return made


def check_maker(gallery: Collection, encoder: Encoder) -> None:
    """Refuse a gallery whose features come from another encoder than the queries' will.

    Raises
    ------
    FeatureMismatchError
        Naming both.
    """
    if gallery.encoder is None or MADE_BY.fullmatch(gallery.encoder) is None:
        return
    ours = maker_name(encoder)
    base = getattr(encoder, "base", None)  # of one that puts another's features together
    known = {ours, maker_name(base)} if isinstance(base, Encoder) else {ours}
    if gallery.encoder not in known:
        raise FeatureMismatchError(
            f"rerank: the gallery was encoded by {gallery.encoder!r}, the queries would be by "
            f"{ours!r}; give encoder= the one that made the gallery, with its parameters, or "
            "encode the gallery again"
        )


def _settings(name: str, device: str, dtype: str) -> dict[str, Any]:
    """Return the run's device and float type, where an encoder has such parameters."""
    if (device, dtype) == ("cpu", "float32"):
        return {}
    known = {each.name for each in dataclasses.fields(load_encoder(name).Parameters)}
    wishes = {"device": (device, "cpu"), "dtype": (dtype, "float32")}
    return {key: value for key, (value, usual) in wishes.items() if key in known and value != usual}
