"""PyTerrier, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class PyTerrier(Driver):
    """A frame in, a frame out."""

    module = "crossrank_hosts.pyterrier"
    package = "pyterrier"
    anything = False  # columns, each of one type

    def native(self, things: Sequence[Thing]) -> Any:
        import pandas as pd

        frame = pd.DataFrame(
            {
                "docno": [thing.id for thing in things],
                "image_path": [thing.path and str(thing.path) for thing in things],
                "text": [thing.text for thing in things],
                "page": [thing.metadata.get("page") for thing in things],
                "tags": [thing.metadata.get("tags") for thing in things],
            }
        )
        if any(thing.score is not None for thing in things):
            frame["score"] = [thing.score for thing in things]
        return frame

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.pyterrier import CrossrankTransformer

        frame = native.assign(qid="q1", query=[query] * len(native))
        return CrossrankTransformer(top_k=top_k, **settings)(frame)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                row["docno"],
                row["score"],
                None if row["base_score"] != row["base_score"] else row["base_score"],
                row["base_rank"],
                row["trace"],
                {key: value for key, value in row.items() if value == value},
            )
            for row in result.to_dict("records")
        ]

    def same(self, one: Any, other: Any) -> bool:
        return bool(one.equals(other))
