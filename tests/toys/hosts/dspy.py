"""DSPy, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class DSPy(Driver):
    """What a retriever predicts in, a prediction out."""

    module = "crossrank_hosts.dspy"
    package = "dspy"

    def native(self, things: Sequence[Thing]) -> Any:
        import dspy

        said: dict[str, Any] = {
            "passages": [_passage(thing) for thing in things],
            "ids": [thing.id for thing in things],
            "metadata": [dict(thing.metadata) for thing in things],
        }
        if any(thing.score is not None for thing in things):
            said["scores"] = [thing.score for thing in things]
        return dspy.Prediction(**said)

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.dspy import CrossrankRerank

        return CrossrankRerank(lambda _: native, k=top_k, **settings)(query)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.dspy import CrossrankRerank

        return await CrossrankRerank(lambda _: native, k=top_k, **settings).acall(query)

    def told(self, result: Any) -> list[Told]:
        columns = ("ids", "scores", "base_scores", "base_ranks", "traces", "metadata")
        return [
            Told(*values)
            for values in zip(*(getattr(result, name) for name in columns), strict=True)
        ]


def _passage(thing: Thing) -> Any:
    if thing.path is not None and thing.text is not None:
        return {"image_path": str(thing.path), "text": thing.text}
    return thing.text if thing.path is None else str(thing.path)
