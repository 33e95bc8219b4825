"""What an encoder says of itself, and the parameters it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossrank.errors import CrossrankError
from crossrank.plugin.contract import Encoder, EncoderInfo
from crossrank.testing._check import require
from crossrank.testing._differences import require_same_features
from crossrank.testing._encoder_case import EncoderCase
from crossrank.testing._identity import (
    require_names,
    require_plugin_class,
    require_stable_fingerprint,
)
from crossrank.testing._parameters import variations


def info_is_complete(case: EncoderCase) -> None:
    """Expect ``info`` to be there, and every field of its type."""
    info: Any = require_plugin_class(case.kind, Encoder, EncoderInfo)
    require(
        isinstance(info.features, Mapping) and bool(info.features),
        f"info.features is {info.features!r:.80}; give a mapping of modality to names",
    )
    for modality, names in info.features.items():
        require(
            modality in ("image", "text", "image+text"),
            f"info.features has the modality {modality!r}; there are 'image', 'text' and "
            "'image+text'",
        )
        require_names(names, f"info.features[{modality!r}]")
    require_names(info.default_features, "info.default_features")
    known = {name for names in info.features.values() for name in names}
    for name in info.default_features:
        require(name in known, f"info.default_features names {name!r}, which it never gives")
    size = case.kind.batch_size
    require(
        isinstance(size, int) and size > 0,
        f"batch_size is {size!r:.80}; give a whole number above 0",
    )


def fingerprints_are_stable(case: EncoderCase) -> None:
    """Expect equal fingerprints of equal parameters, before and after use."""
    case.batch()
    require_stable_fingerprint(case.built(), case.build())


def equal_fingerprints_mean_equal_features(case: EncoderCase) -> None:
    """Expect a new fingerprint where a parameter changes features: `encode` resumes by it."""
    usual = case.entries()
    for name, changed in variations(case.kind, case.params):
        other = case.kind(**changed)
        if other.fingerprint() != case.built().fingerprint():
            continue
        try:
            found = case.entries(encoder=other)
        except CrossrankError:
            continue
        require_same_features(
            usual,
            found,
            f"with {name}={changed[name]!r} under the same fingerprint",
            "let fingerprint() depend on every parameter that matters",
        )


def both_sides_fit_together(case: EncoderCase) -> None:
    """Expect embeddings of one size for pictures and texts, and tokens likewise."""
    info = case.kind.info
    sizes: dict[str, dict[str, int]] = {}
    for modality, names in info.features.items():
        side = EncoderCase(case.kind, case.params, case.built, modality)
        for name, feature in side.batch(features=[n for n in names if n in _COMPARED]).items():
            sizes.setdefault(name, {})[modality] = int(feature[0].shape[-1])
    for name, found in sizes.items():
        require(
            len(set(found.values())) == 1,
            f"{name!r} has rows of "
            + " and ".join(f"{size} for {modality}s" for modality, size in found.items())
            + "; they are compared, so give both the same size",
        )


_COMPARED = ("embedding", "tokens")
