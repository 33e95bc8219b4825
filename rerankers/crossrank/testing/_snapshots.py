"""Writable copies of what a plugin is given, and digests that tell whether it changed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from crossrank._items.collection import Collection
from crossrank._items.fingerprint import fingerprint
from crossrank._items.item import Item
from crossrank._lists.candidates import Candidates
from crossrank.plugin.contract import Block, Context
from crossrank.testing._check import require

Given = TypeVar("Given", bound=Collection | Candidates | Context | Block)


def writable(given: Given) -> Given:
    """Return a copy whose arrays can be written to."""
    if isinstance(given, Collection):
        features = {name: deepcopy(given[name]) for name in given.features}
        return type(given)(given.ids, given.modality, encoder=given.encoder, **features)
    parts = {name: getattr(given, name) for name in type(given).__dataclass_fields__}
    copied: dict[str, Any] = {
        name: writable(part) if isinstance(part, Collection | Candidates) else part.copy()
        for name, part in parts.items()
        if isinstance(part, Collection | Candidates | np.ndarray)
    }
    return replace(given, **copied)


@contextmanager
def unchanged(what: str, **given: Any) -> Iterator[None]:
    """Refuse changes to what a plugin is given, each under the name that a message gives it.

    `what` is who is given it, such as ``"score()"``.
    """
    before = dict(_digests(given))
    yield
    for name, digest in _digests(given):
        require(
            before[name] == digest,
            f"{what} mutated {name}; its input belongs to the caller: copy before changing it",
        )


def _digests(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        for part, content in _parts(value):
            yield f"{name}{part}", fingerprint(content)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield how each part of something is reached, and what it holds."""
    if isinstance(value, Collection):
        yield from ((f"[{name!r}]", value[name]) for name in value.features)
    elif isinstance(value, Block | Context | Candidates):
        for name in type(value).__dataclass_fields__:
            part = getattr(value, name)
            if isinstance(part, Collection | Candidates | np.ndarray):
                yield from ((f".{name}{rest}", content) for rest, content in _parts(part))
    elif isinstance(value, Item):
        yield ".text", value.text
        if value.image is not None and not hasattr(value.image, "is_file"):
            yield ".image", np.asarray(value.image)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, member in enumerate(value):
            yield from ((f"[{number}]{rest}", content) for rest, content in _parts(member))
    else:
        yield "", value
