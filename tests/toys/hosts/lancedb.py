"""LanceDB, for the common tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class LanceDB(Driver):
    """A table in, a table out."""

    module = "crossrank_hosts.lancedb"
    package = "lancedb"
    anything = False  # columns, each of one type
    limited = False  # the search's own limit cuts

    def native(self, things: Sequence[Thing]) -> Any:
        import pyarrow as pa

        columns: dict[str, Any] = {
            "_rowid": pa.array([int(thing.id[1:]) for thing in things], pa.uint64()),
            "image_path": pa.array([t.path and str(t.path) for t in things], pa.string()),
            "text": pa.array([thing.text for thing in things], pa.string()),
            "_distance": pa.array([t.score and -t.score for t in things], pa.float64()),
        }
        for name in ("page", "tags"):
            columns[name] = pa.array([thing.metadata.get(name) for thing in things])
        return pa.table(columns)

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.lancedb import CrossrankReranker

        made = CrossrankReranker(return_score="all", **settings)
        return made.rerank_vector(query, native)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                f"t{row['_rowid']}",
                row["_relevance_score"],
                row["_base_score"],
                row["_base_rank"],
                json.loads(row["_trace"]),
                row,
            )
            for row in result.to_pylist()
        ]

    def same(self, one: Any, other: Any) -> bool:
        return bool(one.equals(other))
