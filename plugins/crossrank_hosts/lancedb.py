"""LanceDB: a reranker for vector, full-text, hybrid and multivector searches.

table.search(vector).rerank(CrossrankReranker(), "a dog in the water").limit(5).to_list()
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.lancedb", "lancedb", "lancedb", "pyarrow")():
    import pyarrow as pa
    import pyarrow.compute as pc
    from lancedb.rerankers import Reranker

from crossrank_hosts._call import Found, SecondLook, account
from crossrank_hosts._contents import FILE_KEYS, PICTURE_KEYS, TEXT_KEYS, shown, shown_in

RRF_K = 60
"""Of reciprocal rank fusion (Cormack et al., SIGIR 2009), the base of a hybrid search."""

Rows = list[dict[str, Any]]


class CrossrankReranker(Reranker):
    """Reranks the rows of a search.

    Parameters
    ----------
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``show``, see docs/hosts.md.
    column
        Of the pictures (their bytes or paths) or texts; by default `_contents.PICTURE_KEYS` and
        then ``text`` and the like are looked at.
    tokens
        A column with the stored tokens of each row, a list of vectors by the same encoder: no
        picture is opened.
    return_score
        ``"relevance"`` for the column ``_relevance_score`` alone, in the place of the search's own;
        ``"all"`` keeps those, and adds ``_base_score``, ``_base_rank`` and ``_trace`` (JSON).

    Notes
    -----
    The base is minus ``_distance``, ``_score`` of a full-text search, and for a hybrid search the
    reciprocal rank fusion of both lists.  Rows of several vectors (``query_index``) are ranked
    within their own list.
    """

    def __init__(
        self,
        reranker: Any = "filip",
        column: str | None = None,
        *,
        tokens: str | None = None,
        return_score: str = "relevance",
        **settings: Any,
    ) -> None:
        super().__init__(return_score)
        self.column = column
        self.tokens = tokens
        self.look = SecondLook.of(reranker, settings)

    def rerank_vector(self, query: Any, vector_results: Any) -> Any:
        """Rerank the rows of a vector search, for a query or for one per ``query_index``."""
        distances = _column(vector_results, "_distance")
        scores = [None if each is None else -each for each in distances]
        return self._ranked(query, vector_results, scores)

    def rerank_fts(self, query: Any, fts_results: Any) -> Any:
        """Rerank the rows of a full-text search."""
        return self._ranked(query, fts_results, _column(fts_results, "_score"))

    def rerank_hybrid(self, query: Any, vector_results: Any, fts_results: Any) -> Any:
        """Rerank the rows of both, each once."""
        lists = [each for each in (vector_results, fts_results) if len(each)]
        if len(lists) < 2:
            table = lists[0] if lists else vector_results
            return self._ranked(query, table, [1 / (RRF_K + n) for n in range(1, len(table) + 1)])
        table = _with_scores(self.merge_results(vector_results, fts_results), fts_results)
        return self._ranked(query, table, _fused(table["_rowid"].to_pylist(), lists))

    def _ranked(self, query: Any, table: Any, scores: Sequence[float | None]) -> Any:
        groups = _groups(table)
        queries = list(query) if isinstance(query, list | tuple) else [query] * len(groups)
        if len(queries) != len(groups):
            raise InputError(
                f"CrossrankReranker: {len(queries)} queries, but {len(groups)} lists of results"
            )
        if len(table) and query is None:
            raise InputError(
                "CrossrankReranker: this search has no text; give it: .rerank(reranker, query)"
            )
        rows = self._rows(table)
        found = [self._found(row, score) for row, score in zip(rows, scores, strict=True)]
        lists = [[found[place] for place in places] for places in groups]
        places, hits = [], []
        for own, best in zip(groups, self.look.many(queries, lists), strict=True):
            places += [own[hit.index] for hit in best]
            hits += best
        return self._annotated(table.take(pa.array(places, pa.int64())), hits)

    def _rows(self, table: Any) -> Rows:
        """Return the columns that are looked at; the others may be large."""
        asked = [each for each in (self.column, self.tokens) if each is not None]
        for name in asked:
            if name not in table.column_names:
                raise InputError(
                    f"CrossrankReranker: the results have no column {name!r}; they have "
                    f"{', '.join(table.column_names)}; select it in the search"
                )
        usual = (*PICTURE_KEYS, *FILE_KEYS, *TEXT_KEYS) if self.column is None else ()
        names = [each for each in table.column_names if each in (*asked, *usual)]
        if not names:
            raise InputError(
                f"CrossrankReranker: none of the columns {', '.join(table.column_names)} is known "
                "to hold pictures or texts; name it: column='…'"
            )
        rows: Rows = table.select(names).to_pylist()
        return rows

    def _found(self, row: Mapping[str, Any], score: float | None) -> Found:
        if self.tokens is not None and row[self.tokens]:
            stored = np.asarray(row[self.tokens], np.float32)
            return Found(score=score, features={"tokens": stored})
        if self.column is None:
            return Found(None, *shown_in(row), score)
        value = row[self.column]
        if isinstance(value, str):
            return Found(None, *shown(None, value), score)
        return Found(image=value, score=score)

    def _annotated(self, table: Any, hits: Sequence[cr.Hit]) -> Any:
        said = [account(hit) for hit in hits]
        columns: dict[str, tuple[Any, list[Any]]] = {
            "_relevance_score": (pa.float32(), [hit.score for hit in hits])
        }
        if self.score == "all":
            columns["_base_score"] = (pa.float64(), [each["base_score"] for each in said])
            columns["_base_rank"] = (pa.int64(), [each["base_rank"] for each in said])
            columns["_trace"] = (pa.string(), [json.dumps(each["trace"]) for each in said])
        else:
            own = [name for name in ("_distance", "_score") if name in table.column_names]
            table = table.drop_columns(own)
        for name, (kind, values) in columns.items():
            table = table.append_column(name, pa.array(values, kind))
        return table


def _column(table: Any, name: str) -> list[float | None]:
    """Return the search's own scores, which a projection may have left out."""
    found: list[float | None] = [None] * len(table)
    return table[name].to_pylist() if name in table.column_names else found


def _groups(table: Any) -> list[list[int]]:
    """Return the places of each query's rows, the queries in their order."""
    if "query_index" not in table.column_names:
        return [list(range(len(table)))]
    found: dict[int, list[int]] = {}
    for place, query in enumerate(table["query_index"].to_pylist()):
        found.setdefault(query, []).append(place)
    return [found[query] for query in sorted(found)]


def _fused(ids: Sequence[int], lists: Sequence[Any]) -> list[float]:
    places = [{id: n for n, id in enumerate(each["_rowid"].to_pylist(), 1)} for each in lists]
    return [sum(1 / (RRF_K + place[id]) for place in places if id in place) for id in ids]


def _with_scores(table: Any, fts_results: Any) -> Any:
    """Fill ``_score`` of the rows that both searches found, which merging takes from the first."""
    places = pc.index_in(table["_rowid"], fts_results["_rowid"].combine_chunks())
    column = table.column_names.index("_score")
    return table.set_column(column, "_score", pc.take(fts_results["_score"], places))
