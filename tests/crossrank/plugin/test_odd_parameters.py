"""Whatever stands in place of a parameter of a plugin: it is taken, or refused by one error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from importlib.metadata import entry_points
from typing import Any

import pytest

from crossrank.errors import CrossrankError, MissingPackageError
from crossrank.plugin.registry import load_encoder, load_reranker
from toys.odd import odd

GROUPS: dict[str, Callable[[str], Any]] = {
    "crossrank.rerankers": load_reranker,
    "crossrank.encoders": load_encoder,
}
PLUGINS = sorted({(group, each.name) for group in GROUPS for each in entry_points(group=group)})
LONGEST_MESSAGE = 1000


@pytest.mark.parametrize(("group", "name"), PLUGINS)
def test_it_is_taken_or_refused(group: str, name: str) -> None:
    try:
        kind = GROUPS[group](name).Parameters
    except MissingPackageError as error:
        pytest.skip(str(error))
    given = [each for each in fields(kind) if each.init]
    needed = {
        each.name: "x"
        for each in given
        if each.default is MISSING and each.default_factory is MISSING
    }
    for each in given:
        for value in odd():
            try:
                kind(**{**needed, each.name: value})
            except CrossrankError as error:
                assert len(str(error)) < LONGEST_MESSAGE, (each.name, str(error))
