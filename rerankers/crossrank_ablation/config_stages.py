"""``[stages]``: what a configuration's stages are, and which keys each of them may have."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from crossrank.errors import CrossrankError, UnknownPluginError, nearest
from crossrank.plugin.contract import Reranker
from crossrank.plugin.registry import load_reranker
from crossrank_ablation.config_tables import Tables
from crossrank_ablation.placeholders import filled_in
from crossrank_ablation.settings import StageSettings

STAGE_KEYS = ("depth", "fusion", "weight", "normalise", "statistics", "k")


def read_stages(tables: Tables) -> dict[str, StageSettings]:
    """Read ``[stages]``: a `StageSettings` by name."""
    found = {}
    for name, table in tables.table("stages").items():
        if not isinstance(table, Mapping):
            tables.fail(("stages", name), f"stages.{name} must be a table")
        values = dict(table)
        reranker = values.pop("reranker", name)
        known = stage_keys(tables, name, reranker)
        for key in values:
            check_stage_key(tables, ("stages", name, key), name, key, known)
        filled = {
            key: filled_in(value, {"root": str(tables.root)}) for key, value in values.items()
        }
        found[name] = StageSettings(name, reranker, filled)
    if not found:
        tables.fail(("stages",), "there are no stages; add [stages.NAME]")
    return found


def stage_keys(tables: Tables, name: str, reranker: Any) -> tuple[str, ...] | None:
    """Return the keys that a stage may have; None where its reranker cannot be asked."""
    kind = reranker
    if isinstance(reranker, str):
        try:
            kind = load_reranker(reranker)
        except UnknownPluginError as error:
            tables.fail(("stages", name), str(error))
        except CrossrankError:
            return None  # its cells will say why
    if isinstance(kind, Reranker) or (isinstance(kind, type) and issubclass(kind, Reranker)):
        fields = dataclasses.fields(kind.Parameters)
        return (*STAGE_KEYS, *(each.name for each in fields if each.init))
    tables.fail(("stages", name, "reranker"), f"stages.{name}.reranker is {reranker!r:.80}")


def check_stage_key(
    tables: Tables, path: tuple[str, ...], stage: str, key: str, known: tuple[str, ...] | None
) -> None:
    """Refuse a key that a stage does not have."""
    if known is not None and key not in known:
        tables.fail(path, f"the stage {stage!r:.80} has no key {key!r:.80}{nearest(key, known)}")
