"""The grammar of ``--stage``: ``name:depth=100,weight=0.5,fusion=weighted,PARAM=value``.

====================== =========================================================================
``depth``              how many of each list, best first, the stage sees; or ``auto``
``fusion``             ``weighted`` (the default), ``replace`` or ``rrf``
``weight, normalise``  for ``weighted``: see `crossrank.WeightedSum`
``k``                  for ``rrf``: see `crossrank.RRF`; otherwise a parameter like any other
anything else          a parameter of the reranker
====================== =========================================================================

A name that ends in ``.toml`` is a file of such keys (`crossrank.Stage.from_file`); keys beside it
win.  Values are typed as in TOML; a word without quotes is a string and ends at the next comma.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossrank._stage import Stage, read_values, stage_of
from crossrank.cli._values import OPENING, add, read_value, split_key, toml_value
from crossrank.errors import ParameterError


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
    where, called = f"--stage {text!r}", ""
    if name.lower().endswith(".toml"):
        name, called, known = read_values(Path(name))
        values = {**known, **values}
    return stage_of(name, values, where, called)


def split_stage(text: str) -> tuple[str, dict[str, Any]]:
    """Return the reranker's name and all keys with their values; errors quote the text."""
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
