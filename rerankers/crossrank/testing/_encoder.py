"""The conformance kit for encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from crossrank.plugin.contract import Encoder, EncoderInfo
from crossrank.testing._check import Check, checks_in
from crossrank.testing._encoder_case import EncoderCase
from crossrank.testing._encoder_checks import (
    batches,
    forms,
    identity,
    inputs,
    lasting,
    oddities,
    storage,
)
from crossrank.testing._identity import OF_BOTH

EncoderCheck: TypeAlias = Callable[[EncoderCase], None]

ONCE: tuple[EncoderCheck, ...] = (*OF_BOTH, *checks_in(identity))
PER_MODALITY: tuple[EncoderCheck, ...] = checks_in(
    forms, batches, inputs, lasting, oddities, storage
)


def check_encoder(encoder: type[Encoder], /, **params: Any) -> list[Check]:
    """Return one callable per promise that an encoder makes by being one.

    Parameters
    ----------
    encoder
        The class; it need not be installed or registered.
    **params
        The parameters to build it with.

    Returns
    -------
    list of Check
        Each is called without arguments and raises AssertionError with a message that says what is
        broken and how to mend it.  What concerns features comes once for each modality of
        ``info.features``.  The encoder is built when the first check is called.

    Notes
    -----
    Features of a standard name must have their standard form (`crossrank._items.collection`); of
    others only invariance, order and storage are checked.

    Examples
    --------
    >>> import pytest
    >>> @pytest.mark.parametrize("check", check_encoder(Mine, device="cpu"))
    ... def test_mine(check):
    ...     check()
    ... # doctest: +SKIP
    """
    subject = getattr(encoder, "__name__", repr(encoder))

    @cache
    def built() -> Encoder:
        return encoder(**params)

    def bound(check: EncoderCheck, modality: str) -> Callable[[], None]:
        return lambda: check(EncoderCase(encoder, params, built, modality))

    modalities = _modalities(encoder)
    made = [Check(subject, each.__name__, bound(each, modalities[0])) for each in ONCE]
    for modality in modalities:
        made += [
            Check(f"{subject} ({modality}s)", f"{each.__name__}-{modality}", bound(each, modality))
            for each in PER_MODALITY
            if modality == "image" or each not in oddities.OF_PICTURES
        ]
    return made


def _modalities(encoder: Any) -> tuple[str, ...]:
    info = getattr(encoder, "info", None)
    features = info.features if isinstance(info, EncoderInfo) else None
    given = features if isinstance(features, Mapping) else {}
    known = ("image", "text", "image+text")
    return tuple(each for each in known if given.get(each)) or ("image", "text")
