"""Show or clear what is kept: raw scores of ablate, features of pictures of rerank."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from crossrank._features.cache import ON_DISK
from crossrank._features.store import SUFFIX, FeatureStore
from crossrank._files.user_cache import user_cache
from crossrank.cli._options import PATH, as_json, crossrank_command
from crossrank.cli._printing import table, write_json
from crossrank.errors import StoreError
from crossrank.plugin.hookspecs import adds

EXAMPLE = """crossrank cache
crossrank cache --verify
crossrank cache --clear --reranker filip
crossrank cache --clear --encoder lite"""


@crossrank_command("cache", EXAMPLE)
@click.option("--folder", type=PATH, help="One cache; by default those of the user.")
@click.option("--reranker", help="Only the scores of this reranker.")
@click.option("--encoder", help="Only the features of this encoder.")
@click.option("--verify", is_flag=True, help="Read everything, and remove what is damaged.")
@click.option("--clear", is_flag=True, help="Remove the scores and features.")
@as_json
def command(
    folder: Path | None,
    reranker: str | None,
    encoder: str | None,
    verify: bool,
    clear: bool,
    as_json: bool,
) -> None:
    """Show which raw scores and which features of pictures are kept, and what they weigh.

    The folders are scores and features in $CROSSRANK_CACHE or ~/.cache/crossrank.
    """
    if verify and clear:
        raise click.UsageError("Give --verify or --clear.", click.get_current_context())
    if folder is not None and not folder.is_dir():
        raise StoreError(f"{folder} is no folder; give that of a cache")
    of_features = folder is not None and any(folder.glob(f"*{SUFFIX}"))
    record: dict[str, Any] = {"folder": None, "bytes": 0, "removed": 0, "rerankers": []}
    if not of_features and encoder is None:
        record = _scores(folder, reranker, verify, clear)
    if of_features or (folder is None and reranker is None):
        record["features"] = _features(folder, encoder, verify, clear)
    if as_json:
        write_json(record)
        return
    for part, groups, unit in (
        (record, record["rerankers"], "blocks"),
        (record.get("features"), (record.get("features") or {}).get("encoders"), "items"),
    ):
        if part is None or part["folder"] is None:
            continue
        click.echo(f"{part['folder']}: {part['count']} {unit}, {part['bytes']:,} bytes")
        if verify or clear:
            click.echo(f"removed: {part['removed']}")
        if groups:
            _show(groups, unit)


crossrank_commands = adds(command)


def _scores(folder: Path | None, reranker: str | None, verify: bool, clear: bool) -> dict[str, Any]:
    from crossrank_ablation.cache import ScoreCache, default_folder

    folder = default_folder() if folder is None else folder
    if not folder.is_dir():  # nothing was kept yet, and looking makes no folder
        return {"folder": str(folder), "count": 0, "bytes": 0, "removed": 0, "rerankers": []}
    keys = ("reranker", "distribution")
    return _contents(ScoreCache(folder), "blocks", keys, reranker, verify, clear)


def _features(
    folder: Path | None, encoder: str | None, verify: bool, clear: bool
) -> dict[str, Any]:
    cache = FeatureStore(user_cache("features") if folder is None else folder, ON_DISK)
    keys = ("encoder", "modality")
    return _contents(cache, "items", keys, encoder, verify, clear)


def _contents(
    cache: Any, unit: str, keys: tuple[str, str], name: str | None, verify: bool, clear: bool
) -> dict[str, Any]:
    """Tend a cache and return what is in it, grouped by what its entries tell of themselves."""
    removed, entries = _tended(cache, keys[0], name, verify, clear)
    groups = _groups(entries, unit, keys)
    return {
        "folder": str(cache.folder),
        "count": len(entries),
        "bytes": sum(group["bytes"] for group in groups),
        "removed": removed,
        f"{keys[0]}s": groups,
    }


def _tended(
    cache: Any, key: str, name: str | None, verify: bool, clear: bool
) -> tuple[int, list[Any]]:
    """Verify or clear a cache, and return how many entries went, and which are left."""
    removed = cache.remove(cache.broken()) if verify else 0
    entries = [
        entry for entry in cache.entries() if name is None or entry.description.get(key) == name
    ]
    if clear:
        return cache.remove([entry.path for entry in entries]), []
    return removed, entries


def _groups(entries: Sequence[Any], unit: str, keys: tuple[str, str]) -> list[dict[str, Any]]:
    """Return per reranker and distribution, or encoder and modality, how much there is."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in entries:
        named = {
            keys[0]: str(entry.description.get(keys[0], "(damaged)")),
            keys[1]: str(entry.description.get(keys[1], "")),
        }
        group = found.setdefault(tuple(named.values()), {**named, unit: 0, "bytes": 0, "used": ""})
        group[unit] += 1
        group["bytes"] += entry.bytes
        used = datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds")
        group["used"] = max(group["used"], used)
    return [found[key] for key in sorted(found)]


def _show(groups: Sequence[dict[str, Any]], unit: str) -> None:
    heads = ("reranker", "from") if unit == "blocks" else ("encoder", "of")
    rows = [
        (*list(group.values())[:2], f"{group[unit]:,}", f"{group['bytes']:,}", group["used"])
        for group in groups
    ]
    click.echo(table((*heads, unit, "bytes", "last used"), rows, right=[2, 3]))
