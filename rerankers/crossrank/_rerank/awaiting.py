"""The drop-in call for asynchronous programs: the same work, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from crossrank._items.collection import Collection
from crossrank._items.item import ItemLike
from crossrank._lists.rankings import Ranking, Rankings
from crossrank._rerank.call import rerank, rerank_many
from crossrank._rerank.encoding import QueryLike
from crossrank._rerank.settings import RerankerLike


async def arerank(
    query: QueryLike | Collection,
    candidates: Sequence[ItemLike] | Collection,
    reranker: RerankerLike = "filip",
    **options: Any,
) -> Ranking:
    """Rerank the candidates of one query without holding up the event loop.

    Parameters
    ----------
    query, candidates, reranker, **options
        As for `rerank`.

    Notes
    -----
    The work runs in a thread of the loop's own pool; encoders are shared with all other calls.  A
    task that is cancelled is let go of at once, its thread ends when its work does.
    """
    return await asyncio.to_thread(rerank, query, candidates, reranker, **options)


async def arerank_many(
    queries: Sequence[QueryLike] | Collection,
    candidate_lists: Sequence[Sequence[ItemLike]] | Collection,
    reranker: RerankerLike = "filip",
    **options: Any,
) -> Rankings:
    """Rerank the candidates of many queries without holding up the event loop; see `arerank`.

    Parameters
    ----------
    queries, candidate_lists, reranker, **options
        As for `rerank_many`.
    """
    return await asyncio.to_thread(rerank_many, queries, candidate_lists, reranker, **options)
