"""The grammar of ``--stage``: ``name:depth=100,weight=0.5,fusion=weighted,PARAM=value``.

====================== =========================================================================
``depth``              how many of each list, best first, the stage sees; or ``auto``
``fusion``             ``weighted`` (the default), ``replace`` or ``rrf``
``weight, normalise``  for ``weighted``: see `crossrank.WeightedSum`
``k``                  for ``rrf``: see `crossrank.RRF`; otherwise a parameter like any other
anything else          a parameter of the reranker
====================== =========================================================================

Values are typed as in TOML; a word without quotes is a string and ends at the next comma.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossrank._lists.fusion import RRF, Fusion, Replace, WeightedSum
from crossrank._stage import Stage
from crossrank.cli._values import OPENING, add, read_value, split_key, toml_value
from crossrank.errors import CrossrankError, ParameterError, nearest
from crossrank.plugin.contract import Reranker

FUSIONS: dict[str, tuple[type[Fusion], tuple[str, ...]]] = {
    "weighted": (WeightedSum, ("weight", "normalise", "statistics")),
    "replace": (Replace, ()),
    "rrf": (RRF, ("k",)),
}
"""Per fusion its class and the keys that belong to it."""


def read_stage(text: str) -> Stage:
    """Return the stage that a text describes.

    Raises
    ------
    ParameterError
        Quoting the text, for anything that is not in the grammar or that stage, fusion or
        reranker refuse.
    UnknownPluginError, PluginError
        If the reranker cannot be loaded.
    """
    name, values = split_stage(text)
    return stage_of(name, values, f"--stage {text!r}")


def stage_of(
    reranker: str | type[Reranker] | Reranker,
    values: Mapping[str, Any],
    where: str,
    name: str = "",
) -> Stage:
    """Return the stage that keys and values of the grammar describe.

    Parameters
    ----------
    reranker, name
        See `Stage`.
    values
        The keys of the table above; ``fusion`` may be a ready `Fusion`.
    where
        What the error starts with.

    Raises
    ------
    ParameterError, UnknownPluginError, PluginError
        As `read_stage`.
    """
    rest = dict(values)
    depth = rest.pop("depth", None)
    fusion = _fusion(rest, where)
    try:
        return Stage(reranker, depth=depth, fusion=fusion, params=rest, name=name)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from error


def split_stage(text: str) -> tuple[str, dict[str, Any]]:
    """Return the reranker's name and all keys with their values.

    Raises
    ------
    ParameterError
        Quoting the text, where it does not follow the grammar.
    """
    where = f"--stage {text!r}"
    name, colon, rest = text.partition(":")
    name = name.strip()
    if not name:
        raise ParameterError(f"{where} names no reranker; write NAME:KEY=VALUE,…")
    if not text.isprintable():
        raise ParameterError(f"{where} holds a line break or another control character")
    values: dict[str, Any] = {}
    if colon:
        for key, value in _pairs(rest, where):
            add(values, key, value, where)
    return name, values


def _pairs(text: str, where: str) -> Iterator[tuple[str, Any]]:
    while True:
        key, rest = split_key(text, where)
        end = _end_of_value(rest)
        yield key, read_value(rest[:end], f"{where}: {key}")
        if end == len(rest):
            return
        text = rest[end + 1 :]


def _end_of_value(text: str) -> int:
    """Return where the value at the start of a text ends: at a comma outside quotes, or the end."""
    commas = [place for place, character in enumerate(text) if character == ","]
    ends = [*commas, len(text)]
    if text.lstrip().startswith(OPENING):
        # the shortest piece that closes what it opens
        return next((end for end in ends if toml_value(text[:end])[0]), len(text))
    return ends[0]


def _fusion(values: dict[str, Any], where: str) -> Fusion:
    """Take the keys of the fusion out of the values and build it."""
    name = values.pop("fusion", "weighted")
    if isinstance(name, Fusion):
        return name
    if not isinstance(name, str) or name not in FUSIONS:
        raise ParameterError(f"{where}: no fusion is called {name!r}{nearest(str(name), FUSIONS)}")
    kind, keys = FUSIONS[name]
    for key in FUSIONS["weighted"][1]:
        if key in values and key not in keys:
            raise ParameterError(
                f"{where}: {key} belongs to fusion=weighted and does nothing with fusion={name}; "
                "leave one of them out"
            )
    try:
        return kind(**{key: values.pop(key) for key in keys if key in values})
    except (CrossrankError, TypeError) as error:
        raise ParameterError(f"{where}: {error}") from error
