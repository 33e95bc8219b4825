"""LangChain: a document compressor that reranks pictures and texts, and a Runnable.

retriever = ContextualCompressionRetriever(
base_retriever=store.as_retriever(), base_compressor=CrossrankCompressor(top_n=5)
)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.langchain", "langchain", "langchain_core", "pydantic")():
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import Document
    from langchain_core.documents.compressor import BaseDocumentCompressor
    from langchain_core.runnables import RunnableConfig, RunnableSerializable
    from pydantic import ConfigDict

from crossrank_hosts._call import Found, account
from crossrank_hosts._contents import picture_in, shown
from crossrank_hosts._fields import LookFields

SCORE_KEYS = ("relevance_score", "score")
"""Where retrievers keep their score in a document's metadata, if they do."""

Asked = Mapping[str, Any]


class CrossrankCompressor(
    LookFields, BaseDocumentCompressor, RunnableSerializable[Asked, list[Document]]
):
    """Reranks the documents of a retriever.

    The documents that come back are copies, with ``relevance_score``, ``base_score``,
    ``base_rank`` and ``trace`` among their metadata.  As a Runnable it takes
    ``{"query": …, "documents": […]}``.

    Parameters
    ----------
    reranker, encoder, gallery, top_n, show, image_key, params, …
        See `crossrank_hosts._fields.LookFields`.
    score_key
        The metadata with the retriever's score, higher is better; by default
        ``relevance_score`` or ``score``.
    """

    score_key: str | None = None

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Say that ``langchain_core.load.dumpd`` may write it."""
        return True

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return the best documents, best first."""
        hits = self._look()(query, [self._found(each) for each in documents], self.top_n)
        return [_copied(documents[hit.index], account(hit)) for hit in hits]

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.compress_documents, documents, query, callbacks)

    def invoke(
        self, input: Asked, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Rerank ``input["documents"]`` for ``input["query"]``."""
        return cast("list[Document]", self._call_with_config(self._asked, input, config))

    async def ainvoke(
        self, input: Asked, config: RunnableConfig | None = None, **kwargs: Any
    ) -> list[Document]:
        """Do the same in a thread."""
        return await self._acall_with_config(self._aasked, input, config)

    def _asked(self, asked: Asked) -> list[Document]:
        return self.compress_documents(*_both(asked))

    async def _aasked(self, asked: Asked) -> list[Document]:
        return await self.acompress_documents(*_both(asked))

    def _found(self, document: Document) -> Found:
        metadata = document.metadata
        keys = SCORE_KEYS if self.score_key is None else (self.score_key,)
        score = next((metadata[key] for key in keys if key in metadata), None)
        image, text = shown(picture_in(metadata, self.image_key), document.page_content)
        return Found(document.id, image, text, score)


def _both(asked: Asked) -> tuple[Sequence[Document], str]:
    if not isinstance(asked, Mapping) or not {"query", "documents"} <= asked.keys():
        raise InputError(
            'CrossrankCompressor: give a mapping {"query": …, "documents": […]} to invoke'
        )
    return asked["documents"], asked["query"]


def _copied(document: Document, told: dict[str, Any]) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, **told}})
