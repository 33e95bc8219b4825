"""A pipeline in a TOML file: ``[[stages]]`` with the keys of ``--stage``."""

from __future__ import annotations

from pathlib import Path

import crossrank as cr
from crossrank.cli.kit import stage_of
from crossrank.errors import FormatError, StoreError
from crossrank.plugin.files import read_toml


def read_pipeline(path: Path) -> list[cr.Stage]:
    """Return the stages of a file.

    Each table of ``[[stages]]`` has ``reranker``, and besides what ``--stage`` takes: ``depth``,
    ``fusion``, ``weight`` and so on, and the reranker's own parameters.

    Raises
    ------
    StoreError
        If it cannot be read.
    FormatError
        If it is no TOML, or of another shape.
    ParameterError, UnknownPluginError, PluginError
        As for a stage.
    """
    try:
        tables = read_toml(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except ValueError as error:
        raise FormatError(f"{path} is no TOML: {error}") from error
    stages = tables.get("stages")
    if not isinstance(stages, list) or not stages or set(tables) != {"stages"}:
        raise FormatError(f"{path} holds other things than [[stages]]; write one table for each")
    made = []
    for number, table in enumerate(stages, 1):
        where = f"{path}: stage {number}"
        if not isinstance(table, dict) or not isinstance(table.get("reranker"), str):
            raise FormatError(f"{where} names no reranker; write reranker = 'filip'")
        values = {key: value for key, value in table.items() if key not in ("reranker", "name")}
        made.append(stage_of(table["reranker"], values, where, str(table.get("name", ""))))
    return made
