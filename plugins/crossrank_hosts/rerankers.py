"""rerankers: a ranker of its kind, for pictures too.

results = CrossrankRanker("filip").rank("a dog in the water", documents)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.rerankers", "rerankers", "rerankers")():
    from rerankers.documents import Document
    from rerankers.models.ranker import BaseRanker
    from rerankers.results import RankedResults, Result

from crossrank_hosts._call import Found, SecondLook, account
from crossrank_hosts._contents import decoded, picture_in, shown


class CrossrankRanker(BaseRanker):
    """Ranks texts and ``Document`` s.

    Parameters
    ----------
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``score_threshold``, ``device`` and the reranker's
        parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    """

    def __init__(self, reranker: Any = "filip", **settings: Any) -> None:
        self.look = SecondLook.of(reranker, settings)

    def score(self, query: Any, doc: Any) -> float:
        """Return the score of one document."""
        (hit,) = self.look(query, [_found(_documents([doc], None)[0])])
        return hit.score

    def rank(
        self,
        query: Any,
        docs: Any,
        doc_ids: Sequence[str | int] | None = None,
        metadata: Sequence[dict[str, Any]] | None = None,
    ) -> RankedResults:
        """Return all documents, best first.

        Parameters
        ----------
        query
            A text, `Path`, PIL image or `crossrank.Item`.
        docs
            One or several: texts, which may be paths of pictures, or ``Document``.
        doc_ids
            Their ids; by default those of documents, or else their places.
        metadata
            Of texts, where they have any.

        Returns
        -------
        RankedResults
            New documents, with ``relevance_score``, ``base_rank`` and ``trace`` in the metadata.
        """
        listed = list(docs) if isinstance(docs, list | tuple) else [docs]
        for given, what in ((doc_ids, "ids"), (metadata, "metadata")):
            if given is not None and len(given) != len(listed):
                raise InputError(
                    f"CrossrankRanker: {len(listed)} documents, but {len(given)} {what}"
                )
        documents = _documents(listed, doc_ids, metadata)
        hits = self.look(query, [_found(each) for each in documents])
        results = [Result(_copied(documents[hit.index], hit), hit.score, hit.rank) for hit in hits]
        return RankedResults(results, query, has_scores=True)

    async def rank_async(self, query: Any, docs: Any, *rest: Any, **more: Any) -> RankedResults:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.rank, query, docs, *rest, **more)


def _documents(
    docs: Sequence[Any],
    ids: Sequence[str | int] | None,
    metadata: Sequence[dict[str, Any]] | None = None,
) -> list[Document]:
    made = []
    for place, doc in enumerate(docs):
        own = place if ids is None else ids[place]
        if isinstance(doc, Document):
            own = doc.doc_id if ids is None and doc.doc_id is not None else own
            made.append(_like(doc, own, dict(doc.metadata)))
        else:
            kept = {} if metadata is None else dict(metadata[place])
            made.append(Document(str(doc), own, kept))
    return made


def _like(doc: Document, id: Any, metadata: dict[str, Any]) -> Document:
    return Document(doc.text, id, metadata, doc.document_type, doc.image_path, doc.base64)


def _found(doc: Document) -> Found:
    image: Any = None if doc.base64 is None else decoded(doc.base64)
    if image is None and doc.image_path is not None:
        image = doc.image_path
    if image is None:
        image = picture_in(doc.metadata)
    return Found(str(doc.doc_id), *shown(image, doc.text))


def _copied(doc: Document, hit: cr.Hit) -> Document:
    return _like(doc, doc.doc_id, {**doc.metadata, **account(hit)})
