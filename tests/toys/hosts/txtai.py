"""txtai, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class Txtai(Driver):
    """Rows in, rows out."""

    module = "crossrank_hosts.txtai"
    own = ("score",)

    def native(self, things: Sequence[Thing]) -> Any:
        made = []
        for thing in things:
            row = {**thing.metadata, "id": thing.id, "text": thing.text, "score": thing.score}
            if thing.path is not None:
                row["image_path"] = str(thing.path)
            made.append(row)
        return made

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.txtai import rerank_rows

        return rerank_rows(query, native, top_k=top_k, **settings)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(row["id"], row["score"], row["base_score"], row["base_rank"], row["trace"], row)
            for row in result
        ]
