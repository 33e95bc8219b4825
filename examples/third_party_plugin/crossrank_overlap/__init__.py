"""Rerank by the words that query and candidate share."""

import crossrank as cr


@cr.hookimpl
def crossrank_reranker() -> type[cr.Reranker]:
    """Return the reranker behind the entry point's name."""
    from crossrank_overlap.reranker import OverlapReranker

    return OverlapReranker
