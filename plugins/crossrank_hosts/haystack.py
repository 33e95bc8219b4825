"""Haystack: a ranker of documents with pictures, texts or both.

    pipeline.add_component("ranker", CrossrankRanker(top_k=5))

Pipelines that were saved find it as ``haystack_integrations.components.rankers.crossrank``, the
namespace from which Haystack loads the components of others.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.haystack", "haystack", "haystack")():
    from haystack import Document, component, default_from_dict, default_to_dict

from crossrank_hosts._call import Found, SecondLook, account
from crossrank_hosts._contents import picture_in, shown


@component
class CrossrankRanker:
    """Reranks documents.

    The documents that come back are copies under the same ids, with ``relevance_score``,
    ``base_score``, ``base_rank`` and ``trace`` among their ``meta``.

    Parameters
    ----------
    reranker, encoder, fusion, weight, score_threshold, device, threads, on_error, cache, params
        See `crossrank.rerank`.
    on_item
        See `crossrank.rerank`; here a candidate that cannot be scored stays below the others.
    gallery
        A stored gallery, or its folder: what has its id or picture there is scored without opening
        the picture.
    top_k
        How many documents to return; None for all.
    show
        What of a document with a picture and a text is looked at: ``"image"``, ``"text"``, or
        ``"both"`` for an encoder that knows both at once.
    image_key
        The ``meta`` that name a document's picture, if it has no ``blob``; by default those of
        `_contents.PICTURE_KEYS` that do.
    """

    # Haystack loads what lies in its own namespace, where this class is found too
    __module__ = "haystack_integrations.components.rankers.crossrank"

    def __init__(
        self,
        reranker: Any = "filip",
        encoder: Any = None,
        gallery: Any = None,
        top_k: int | None = None,
        score_threshold: float | None = None,
        fusion: Any = None,
        weight: float | None = None,
        device: str = "cpu",
        threads: int | None = None,
        on_error: str = "raise",
        cache: bool | str = True,
        on_item: str = "keep",
        show: str = "image",
        image_key: str | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        _check(top_k)
        self.top_k = top_k
        self.image_key = image_key
        self.look = SecondLook(
            reranker=reranker,
            encoder=encoder,
            gallery=gallery,
            fusion=fusion,
            weight=weight,
            score_threshold=score_threshold,
            device=device,
            threads=threads,
            on_error=on_error,
            cache=cache,
            on_item=on_item,
            show=show,
            params={} if params is None else dict(params),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as Haystack saves it.

        Raises
        ------
        InputError
            If its reranker, encoder, gallery or fusion is an object instead of a name.
        """
        told = self.look.settings()
        for name in ("reranker", "encoder", "gallery", "fusion"):
            if not isinstance(told[name], str | list | None):
                raise InputError(
                    f"CrossrankRanker: {name} is an object, which cannot be saved; name it"
                )
        return default_to_dict(self, top_k=self.top_k, image_key=self.image_key, **told)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CrossrankRanker:
        """Make it again."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Load the encoder's weights."""
        self.look.warm_up()

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the best documents, best first.

        Parameters
        ----------
        query
            A text, or a data URI of a picture; called from Python also a `Path` or PIL image.
        documents
            Of several with the same id the one with the highest score counts.
        top_k
            Instead of the component's own.
        """
        _check(top_k)
        distinct = _distinct(documents)
        count = self.top_k if top_k is None else top_k
        hits = self.look(query, [self._found(each) for each in distinct], count)
        return {"documents": [_copied(distinct[hit.index], hit) for hit in hits]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Do the same in a thread."""
        found: dict[str, list[Document]] = await asyncio.to_thread(
            self.run, query, documents, top_k
        )
        return found

    def _found(self, document: Document) -> Found:
        image = _blob(document)
        if image is None:
            image = picture_in(document.meta, self.image_key)
        return Found(document.id, *shown(image, document.content), document.score)


def _check(top_k: int | None) -> None:
    if top_k is not None and top_k < 1:
        raise InputError(f"CrossrankRanker: top_k is {top_k}; give a whole number of at least 1")


def _blob(document: Document) -> Any:
    blob = document.blob
    if blob is None or not blob.data:
        return None
    kind = blob.mime_type or "image/"
    return blob.data if kind.startswith("image/") else None


def _distinct(documents: Sequence[Document]) -> list[Document]:
    """Return of each id the document with the highest score, as Haystack's rankers do."""
    best: dict[str, Document] = {}
    for document in documents:
        other = best.setdefault(document.id, document)
        if _score(document) > _score(other):
            best[document.id] = document
    return list(best.values())


def _score(document: Document) -> float:
    return -math.inf if document.score is None else document.score


def _copied(document: Document, hit: cr.Hit) -> Document:
    return dataclasses.replace(document, score=hit.score, meta={**document.meta, **account(hit)})
