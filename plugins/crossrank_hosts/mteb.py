"""mteb: a pipeline under test as a cross-encoder, or as a search of its own.

    mteb.evaluate(CrossrankCrossEncoder("filip"), task.convert_to_reranking(folder))
    mteb.evaluate(CrossrankSearch("filip"), task)

Neither imports mteb before mteb asks for their metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.optional import required
from crossrank_hosts._call import Found, SecondLook

Row = Mapping[str, Any]


class _Model:
    """What both kinds have in common.

    Parameters
    ----------
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``device`` and the reranker's
        parameters.
    """

    kind = ""

    def __init__(self, reranker: Any = "filip", **settings: Any) -> None:
        self.look = SecondLook.of(reranker, {"on_item": "raise", **settings})

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb writes beside the results."""
        meta = required("mteb.models.model_meta", "mteb", "crossrank_hosts.mteb").ModelMeta
        reranker = self.look.reranker
        name = reranker if isinstance(reranker, str) else type(reranker).__name__
        return meta.create_empty(
            {
                "name": f"crossrank/{name}",
                "revision": version("crossrank"),
                "model_type": [self.kind],
                "modalities": ["image", "text"],
                "framework": ["NumPy"],
            }
        )


class CrossrankCrossEncoder(_Model):
    """mteb's ``CrossEncoderProtocol``: scores the pairs that a first stage found."""

    kind = "cross-encoder"

    def predict(
        self, inputs1: Iterable[Any], inputs2: Iterable[Any], **_: Any
    ) -> NDArray[np.float64]:
        """Return the score of each pair.

        Parameters
        ----------
        inputs1, inputs2
            Batches of queries and of documents, pair by pair.
        **_
            What else mteb says of the task; it changes nothing.

        Returns
        -------
        ndarray
            ``[P]`` float64, the numbers of `crossrank.rerank_many` to the bit.
        """
        pairs = zip(_rows(inputs1), _rows(inputs2), strict=True)
        groups = [list(group) for _, group in groupby(pairs, key=lambda pair: _identity(pair[0]))]
        hits = self.look.many(
            [_query(group[0][0]) for group in groups],
            [[_found(document) for _, document in group] for group in groups],
        )
        scores = np.zeros(sum(map(len, groups)))
        start = 0
        for group, best in zip(groups, hits, strict=True):
            for hit in best:
                scores[start + hit.index] = hit.score
            start += len(group)
        return scores


class CrossrankSearch(_Model):
    """mteb's ``SearchProtocol``: ranks what mteb says was found, or searches itself.

    Without lists of mteb's the first stage is the inner product of the encoder's embeddings, whose
    best `top_k` the reranker sees together with their scores.
    """

    kind = "late-interaction"

    def __init__(self, reranker: Any = "filip", **settings: Any) -> None:
        super().__init__(reranker, **settings)
        self.corpus: dict[str, Found] = {}

    def index(self, corpus: Iterable[Row], **_: Any) -> None:
        """Take the documents; they are encoded when they are found."""
        self.corpus = {str(row["id"]): _found(_whole(row)) for row in corpus}

    def search(
        self,
        queries: Iterable[Row],
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_: Any,
    ) -> dict[str, dict[str, float]]:
        """Return the score of each document that was found, per query.

        Parameters
        ----------
        queries
            Rows with ``id``, and ``text`` or ``image``.
        top_k
            How many documents to return, and without `top_ranked` to look at.
        top_ranked
            The documents that a first stage found, per query.
        **_
            What else mteb says of the task; it changes nothing.

        Raises
        ------
        InputError
            If a document was not indexed.
        """
        asked = {str(row["id"]): _query(_whole(row)) for row in queries}
        lists = self._searched(asked, top_k) if top_ranked is None else self._given(top_ranked)
        found = [lists.get(id, []) for id in asked]
        hits = self.look.many(list(asked.values()), found, top_k)
        return {
            id: {str(own[hit.index].id): hit.score for hit in best}
            for id, own, best in zip(asked, found, hits, strict=True)
        }

    def _given(self, top_ranked: Mapping[str, Sequence[str]]) -> dict[str, list[Found]]:
        try:
            return {
                str(query): [self.corpus[str(id)] for id in ids]
                for query, ids in top_ranked.items()
            }
        except KeyError as error:
            raise InputError(
                f"CrossrankSearch: the document {error} was not indexed; call index first"
            ) from error

    def _searched(self, asked: Mapping[str, Any], depth: int) -> dict[str, list[Found]]:
        encoder = "lite" if self.look.encoder is None else self.look.encoder
        gallery = cr.encode(encoder, [_item(each) for each in self.corpus.values()], None, FIRST)
        queries = [cr.Item(id, each.text, each.image) for id, each in asked.items()]
        run = cr.search(cr.encode(encoder, queries, None, FIRST), gallery, depth).to_run()
        return {
            query: [self._scored(id, score) for id, score in found.items()]
            for query, found in run.items()
        }

    def _scored(self, id: str, score: float) -> Found:
        known = self.corpus[id]
        return Found(known.id, known.image, known.text, score, same=known.same)


FIRST = ("embedding",)
"""The feature of the first stage."""


def _rows(batches: Iterable[Any]) -> Iterator[Row]:
    """Take batches, which are columns, apart."""
    for batch in batches:
        columns = {name: values for name, values in batch.items() if isinstance(values, list)}
        for place in range(len(next(iter(columns.values()), []))):
            yield {name: values[place] for name, values in columns.items()}


def _whole(row: Row) -> Row:
    """Put the title before the text, as mteb does for cross-encoders."""
    title, text = row.get("title"), row.get("text")
    return {**row, "text": f"{title} {text}".strip()} if title and text else row


def _identity(row: Row) -> Any:
    if "id" in row:
        return str(row["id"])
    image = row.get("image")
    return row.get("text"), None if image is None else cr.fingerprint(np.asarray(image))


def _found(row: Row) -> Found:
    identity = _identity(row)
    text = row.get("text")
    id = str(row["id"]) if "id" in row else None
    return Found(id, row.get("image"), text.strip() or None if text else None, same=identity)


def _query(row: Row) -> cr.Item:
    return cr.Item(None, row.get("text"), row.get("image"))


def _item(found: Found) -> cr.Item:
    return cr.Item(found.id, found.text if found.image is None else None, found.image)
