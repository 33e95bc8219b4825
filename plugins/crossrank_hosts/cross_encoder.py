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
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
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
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_numpy: bool = True,
        **_: Any,
    ) -> NDArray[np.float32] | np.float32 | list[float]:
        """Return the reranker's own score of each pair.

        Parameters
        ----------
        inputs
            Pairs of query and document, or one pair.
        batch_size, show_progress_bar, **_
            Taken since hosts hand them over; they change nothing.
        convert_to_numpy
            False for a list of floats.

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
        if single:
            return scores[0]
        return scores if convert_to_numpy else scores.tolist()

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
    return len(inputs) == 2 and isinstance(inputs[0], str | Mapping) and _is_side(inputs[1])


def _is_side(value: object) -> bool:
    return isinstance(value, str | Mapping) or not isinstance(value, list | tuple)


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
