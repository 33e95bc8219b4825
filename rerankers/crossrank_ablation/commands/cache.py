"""Show or clear the raw scores that ablate keeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

import crossrank as cr
from crossrank.cli._options import PATH, as_json, crossrank_command
from crossrank.cli._printing import table, write_json
from crossrank.errors import StoreError

EXAMPLE = """crossrank cache
crossrank cache --verify
crossrank cache --clear --reranker filip"""


@crossrank_command("cache", EXAMPLE)
@click.option("--folder", type=PATH, help="The cache; that of the user by default.")
@click.option("--reranker", help="Only the scores of this reranker.")
@click.option("--verify", is_flag=True, help="Read everything, and remove what is damaged.")
@click.option("--clear", is_flag=True, help="Remove the scores.")
@as_json
def command(
    folder: Path | None, reranker: str | None, verify: bool, clear: bool, as_json: bool
) -> None:
    """Show which raw scores are kept, of which reranker, and what they weigh.

    The folder is $CROSSRANK_CACHE/scores, or ~/.cache/crossrank/scores.
    """
    if verify and clear:
        raise click.UsageError("Give --verify or --clear.", click.get_current_context())
    from crossrank_ablation.cache import ScoreCache, default_folder

    place = default_folder() if folder is None else folder
    if folder is not None and not folder.is_dir():
        raise StoreError(f"{folder} is no folder; give that of a cache")
    if not place.is_dir():  # nothing was kept yet, and looking makes no folder
        if as_json:
            write_json({"folder": str(place), "bytes": 0, "removed": 0, "rerankers": []})
        else:
            click.echo(f"{place}: 0 blocks, 0 bytes")
        return
    cache = ScoreCache(place)
    removed = 0
    if verify:
        removed = cache.remove(cache.broken())
    entries = [
        entry
        for entry in cache.entries()
        if reranker is None or entry.description.get("reranker") == reranker
    ]
    if clear:
        removed = cache.remove([entry.path for entry in entries])
        entries = []
    groups = _groups(entries)
    total = sum(group["bytes"] for group in groups)
    if as_json:
        write_json({"folder": str(place), "bytes": total, "removed": removed, "rerankers": groups})
        return
    click.echo(f"{place}: {len(entries)} blocks, {total:,} bytes")
    if verify or clear:
        click.echo(f"removed: {removed}")
    if groups:
        rows = [
            (g["reranker"], g["distribution"], f"{g['blocks']:,}", f"{g['bytes']:,}", g["used"])
            for g in groups
        ]
        click.echo(table(("reranker", "from", "blocks", "bytes", "last used"), rows, right=[2, 3]))


@cr.hookimpl
def crossrank_commands(group: click.Group) -> None:
    """Add the command to the program."""
    group.add_command(command)


def _groups(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """Return per reranker and distribution how much there is."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        name = str(entry.description.get("reranker", "(damaged)"))
        origin = str(entry.description.get("distribution", ""))
        group = found.setdefault(
            (name, origin),
            {"reranker": name, "distribution": origin, "blocks": 0, "bytes": 0, "used": ""},
        )
        group["blocks"] += 1
        group["bytes"] += entry.bytes
        used = datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds")
        group["used"] = max(group["used"], used)
    return [found[key] for key in sorted(found)]
