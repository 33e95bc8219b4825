"""txtai: a similarity for its ``Reranker``, and its rows reranked directly.

    reranker = Reranker(embeddings, CrossrankSimilarity("filip"))
    best = rerank_rows("a dog in the water", embeddings.search(…, 100))

txtai itself is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossrank_hosts._call import Found, SecondLook, account
from crossrank_hosts._contents import shown, shown_in


class CrossrankSimilarity:
    """Scores texts for a query, or for several, as txtai's ``Similarity`` does.

    Parameters
    ----------
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``device`` and the reranker's parameters.

    Notes
    -----
    txtai's ``Reranker`` hands over nothing but the text of a row: pictures are found where that is
    their path, a data URI or base64.
    """

    def __init__(self, reranker: Any = "filip", **settings: Any) -> None:
        self.look = SecondLook.of(reranker, settings)

    def __call__(self, query: Any, texts: Sequence[Any], **_: Any) -> list[Any]:
        """Return ``(place, score)`` of the texts, best first; of several queries a list of these.

        Parameters
        ----------
        query
            One query, or a list of queries.
        texts
            What to score.
        **_
            Other arguments of txtai's; they change nothing.
        """
        queries = query if isinstance(query, list) else [query]
        found = [
            Found(None, *shown(None, each)) if isinstance(each, str) else Found(image=each)
            for each in texts
        ]
        ranked = [
            [(hit.index, hit.score) for hit in hits]
            for hits in self.look.many(queries, [found] * len(queries))
        ]
        return ranked if isinstance(query, list) else ranked[0]


def rerank_rows(
    query: Any,
    rows: Sequence[Mapping[str, Any]],
    reranker: Any = "filip",
    *,
    top_k: int | None = None,
    image_key: str | None = None,
    text_key: str | None = None,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Rerank the rows of ``embeddings.search``.

    Parameters
    ----------
    query
        A text, `Path`, PIL image or `crossrank.Item`.
    rows
        With ``id``, ``score``, and what the search selected: ``text``, or a picture in ``object``
        or under one of `_contents.PICTURE_KEYS`.
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    top_k
        How many rows to return; all by default.
    image_key, text_key
        Where the picture and the text are.

    Returns
    -------
    list of dict
        New rows: ``score`` is new, and ``relevance_score``, ``base_score``, ``base_rank`` and
        ``trace`` are added.
    """
    found = [
        Found(_id(row), *shown_in(_picture(row), image_key, text_key), row.get("score"))
        for row in rows
    ]
    hits = SecondLook.of(reranker, settings)(query, found, top_k)
    return [{**rows[hit.index], "score": hit.score, **account(hit)} for hit in hits]


def _id(row: Mapping[str, Any]) -> str | None:
    return None if row.get("id") is None else str(row["id"])


def _picture(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let txtai's name of a stored object be one of ours."""
    return {**row, "image": row["object"]} if row.get("object") is not None else row
