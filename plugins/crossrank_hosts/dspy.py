"""DSPy: a module that reranks what a retriever found, or passages that it is given.

rag = CrossrankRerank(dspy.retrievers.Embeddings(…), k=5)
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.dspy", "dspy", "dspy")():
    import dspy

from crossrank_hosts._call import Found, SecondLook, account
from crossrank_hosts._contents import shown, shown_in


class CrossrankRerank(dspy.Module):
    """Reranks passages.

    Parameters
    ----------
    retriever
        What finds them for a query: a module or callable whose result has ``passages``; None where
        they are always given.
    reranker, **settings
        See `crossrank.rerank`: ``encoder``, ``fusion``, ``weight``, ``score_threshold``, ``device``
        and the reranker's parameters; and ``gallery`` and ``show``, see docs/hosts.md.
    k
        How many to return; None for all.
    """

    def __init__(
        self,
        retriever: Any = None,
        reranker: Any = "filip",
        *,
        k: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        if k is not None and k < 1:
            raise InputError(f"CrossrankRerank: k is {k}; give a whole number of at least 1")
        self.retriever = retriever
        self.k = k
        self.look = SecondLook.of(reranker, settings)

    def forward(self, query: Any, passages: Sequence[Any] | None = None) -> dspy.Prediction:
        """Return the best passages, best first.

        Parameters
        ----------
        query
            A text; called from Python also a `Path`, PIL image or ``dspy.Image``.
        passages
            Texts, which may be paths of pictures, ``dspy.Image``, or mappings; by default what the
            retriever finds.

        Returns
        -------
        Prediction
            ``passages`` and with them, in their order, ``scores``, ``base_scores``,
            ``base_ranks``, ``traces``, and whatever else the retriever said of each passage.
        """
        if passages is not None:
            return self._ranked(query, {"passages": list(passages)})
        return self._ranked(query, dict(self._retriever()(query).items()))

    async def aforward(self, query: Any, passages: Sequence[Any] | None = None) -> dspy.Prediction:
        """Do the same without holding up the event loop."""
        if passages is not None:
            return await asyncio.to_thread(self.forward, query, passages)
        retriever = self._retriever()
        if hasattr(retriever, "aforward"):
            found = await retriever.acall(query)
        else:
            found = await asyncio.to_thread(retriever, query)
            found = await found if inspect.isawaitable(found) else found
        return await asyncio.to_thread(self._ranked, query, dict(found.items()))

    def _retriever(self) -> Any:
        if self.retriever is None:
            raise InputError("CrossrankRerank: give passages, or make it with a retriever")
        return self.retriever

    def _ranked(self, query: Any, said: Mapping[str, Any]) -> dspy.Prediction:
        passages = list(said["passages"])
        columns = {
            name: list(values)
            for name, values in said.items()
            if isinstance(values, list | tuple) and len(values) == len(passages)
        }
        scores = columns.get("scores", [None] * len(passages))
        found = [_found(each, score) for each, score in zip(passages, scores, strict=True)]
        hits = self.look(_picture(query), found, self.k)
        accounts = [account(hit) for hit in hits]
        ordered = {name: [values[hit.index] for hit in hits] for name, values in columns.items()}
        return dspy.Prediction(
            **{
                **said,
                **ordered,
                "scores": [hit.score for hit in hits],
                "base_scores": [each["base_score"] for each in accounts],
                "base_ranks": [each["base_rank"] for each in accounts],
                "traces": [each["trace"] for each in accounts],
            }
        )


def _picture(value: Any) -> Any:
    """Return a ``dspy.Image`` as what it holds, anything else as it is."""
    return value.url if isinstance(value, dspy.Image) else value


def _found(passage: Any, score: Any) -> Found:
    if isinstance(passage, Mapping):
        return Found(None, *shown_in(passage), score)
    value = _picture(passage)
    if isinstance(value, str):
        return Found(None, *shown(None, value), score)
    text = getattr(value, "long_text", None)
    return Found(image=value, score=score) if text is None else Found(text=text, score=score)
