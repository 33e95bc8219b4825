"""In the place of sentence-transformers' ``CrossEncoder``, wherever a host takes one.

    model = CrossEncoderLike("filip")
    model.rank("a dog in the water", ["photos/dog.jpg", "photos/cat.jpg"])

sentence-transformers itself is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import required
from crossrank_hosts._call import Found, SecondLook
from crossrank_hosts._contents import shown


class CrossEncoderLike:
    """Scores pairs as sentence-transformers' ``CrossEncoder`` does.

    Parameters
    ----------
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``device``, ``on_item`` and the reranker's parameters.

    Notes
    -----
    A query or document is a str, which may be the path of a picture, a data URI or base64 of one;
    a `Path`, a PIL image, or a mapping with ``text``, ``image`` or both.
    """

    def __init__(self, reranker: Any = "filip", **settings: Any) -> None:
        self._look = SecondLook.of(reranker, {"on_item": "raise", **settings})

    def predict(
        self,
        inputs: Sequence[Any],
        *,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        **_: Any,
    ) -> Any:
        """Return the reranker's own score of each pair.

        Parameters
        ----------
        inputs
            Pairs of query and document, or one pair.
        convert_to_numpy
            False for a list of floats.
        convert_to_tensor
            Whether to return a tensor of torch.
        **_
            Other arguments of sentence-transformers' method; they change nothing.

        Returns
        -------
        ndarray
            ``[P]`` float32 in the order of the pairs; of one pair a single number.
        """
        single = _is_pair(inputs)
        pairs = [inputs] if single else list(inputs)
        scores = np.zeros(len(pairs), np.float32)
        place = 0
        for query, group in groupby(pairs, key=lambda pair: pair[0]):
            documents = [pair[1] for pair in group]
            for hit in self._look(_query(query), [_found(each) for each in documents]):
                scores[place + hit.index] = hit.score
            place += len(documents)
        told: Any = scores[0] if single else scores
        if convert_to_tensor:
            torch = required("torch", "filip", "CrossEncoderLike.predict with convert_to_tensor")
            return torch.as_tensor(told)
        return told if convert_to_numpy else told.tolist()

    def rank(
        self,
        query: Any,
        documents: Sequence[Any],
        top_k: int | None = None,
        return_documents: bool = False,
        **_: Any,
    ) -> list[dict[str, Any]]:
        """Return ``corpus_id`` and ``score`` of the documents, best first.

        Parameters
        ----------
        query, documents
            One query and its documents.
        top_k
            How many to return; all by default.
        return_documents
            Whether to return each document too, under ``text``.
        **_
            Other arguments of sentence-transformers' method; they change nothing.
        """
        hits = self._look(_query(query), [_found(each) for each in documents], top_k)
        ranked: list[dict[str, Any]] = [
            {"corpus_id": hit.index, "score": hit.score} for hit in hits
        ]
        if return_documents:
            for each in ranked:
                each["text"] = documents[each["corpus_id"]]
        return ranked


def _is_pair(inputs: Sequence[Any]) -> bool:
    """Tell one pair of query and document from a list of pairs."""
    return len(inputs) == 2 and not isinstance(inputs[0], list | tuple)


def _found(document: Any) -> Found:
    if isinstance(document, Mapping):
        return Found(image=document.get("image"), text=document.get("text"))
    if isinstance(document, str):
        return Found(None, *shown(None, document))
    if isinstance(document, cr.Item):
        return Found(document.id, document.image, document.text, features=document.features)
    return Found(image=document)


def _query(value: Any) -> Any:
    found = _found(value)
    if found.image is None and found.text is None and not found.features:
        raise InputError("CrossEncoderLike: a query needs a text or an image")
    return cr.Item(text=found.text, image=found.image, **found.features)
