"""PyTerrier: a transformer that reranks a result frame; it needs no Java.

pipeline = retriever % 100 >> CrossrankTransformer("filip")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.pyterrier", "pyterrier", "pyterrier", "pandas")():
    import pandas as pd
    import pyterrier as pt

from crossrank_hosts._call import Found, SecondLook, account
from crossrank_hosts._contents import shown, shown_in

NEEDED = ("qid", "query", "docno")


class CrossrankTransformer(pt.Transformer):
    """Reranks the documents of every query in a frame.

    All columns are kept; ``score`` and ``rank`` (from 0) are new, and ``base_score``,
    ``base_rank`` (from 1) and ``trace`` are added.

    Parameters
    ----------
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` (documents by their ``docno``) and ``show``,
        see docs/hosts.md.
    column
        Of the pictures or texts; by default those of `_contents.PICTURE_KEYS` that name a picture,
        and ``text``.
    top_k
        How many of each query to return; None for all.
    """

    def __init__(
        self,
        reranker: Any = "filip",
        *,
        column: str | None = None,
        top_k: int | None = None,
        **settings: Any,
    ) -> None:
        if top_k is not None and top_k < 1:
            raise InputError(
                f"CrossrankTransformer: top_k is {top_k}; give a whole number of at least 1"
            )
        self.column = column
        self.top_k = top_k
        self.look = SecondLook.of(reranker, settings)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Return the frame in its new order, the queries in theirs."""
        asked = NEEDED if self.column is None else (*NEEDED, self.column)
        missing = [name for name in asked if name not in inp.columns]
        if missing:
            raise InputError(
                f"CrossrankTransformer: the frame has no column {', '.join(missing)}; it has "
                f"{', '.join(map(str, inp.columns))}"
            )
        groups = [(own["query"].iloc[0], own) for _, own in inp.groupby("qid", sort=False)]
        found = [[self._found(row) for row in own.to_dict("records")] for _, own in groups]
        hits = self.look.many([query for query, _ in groups], found, self.top_k)
        parts = [_ranked(own, best) for (_, own), best in zip(groups, hits, strict=True)]
        return pd.concat(parts, ignore_index=True) if parts else _ranked(inp, [])

    def _found(self, row: Mapping[Any, Any]) -> Found:
        id, score = str(row["docno"]), row.get("score")
        if self.column is None:
            return Found(id, *shown_in(row), score)
        value = row[self.column]
        if isinstance(value, str):
            return Found(id, *shown(None, value), score)
        return Found(id, value, None, score)

    def __eq__(self, other: object) -> bool:
        """Tell whether another transformer does the same."""
        return isinstance(other, CrossrankTransformer) and self._settings() == other._settings()

    def __hash__(self) -> int:
        return hash((type(self), repr(self.look.reranker), self.column, self.top_k))

    def __repr__(self) -> str:
        return f"CrossrankTransformer({self.look.reranker!r})"

    def _settings(self) -> dict[str, Any]:
        return {**self.look.settings(), "column": self.column, "top_k": self.top_k}


def _ranked(frame: pd.DataFrame, hits: list[cr.Hit]) -> pd.DataFrame:
    said = [account(hit) for hit in hits]
    return frame.iloc[[hit.index for hit in hits]].assign(
        score=pd.Series([hit.score for hit in hits], dtype="float64").to_numpy(),
        rank=pd.Series(range(len(hits)), dtype="int64").to_numpy(),
        base_score=pd.Series([hit.base_score for hit in hits], dtype="float64").to_numpy(),
        base_rank=pd.Series([hit.base_rank for hit in hits], dtype="int64").to_numpy(),
        trace=pd.Series([each["trace"] for each in said], dtype="object").to_numpy(),
    )
