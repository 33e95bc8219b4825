"""``cr.Client``: the drop-in call, answered by a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import httpx

import crossrank as cr
from crossrank.errors import InputError, RemoteError
from crossrank.plugin.items import ItemLike, as_item, as_parts
from crossrank.plugin.parameters import checked, instance_of, integer, none, positive
from crossrank_remote.answers import rankings_of
from crossrank_remote.calling import Caller
from crossrank_remote.reranker import VARIABLE, check_address
from crossrank_remote.wire import part_of

QueryLike = ItemLike | Sequence[ItemLike]
Scores = Sequence[float]
Question = dict[str, Any]

AT_ONCE = 8
"""Requests of `rerank_many` that are under way at the same time."""


class Client:
    """A server of ``crossrank serve``, asked as one asks the library.

    Parameters
    ----------
    url
        Its address.
    token
        A bearer token; by default that of ``CROSSRANK_TOKEN``, if it is set.
    timeout
        Seconds that one try may take.
    retries
        How many more tries there are, after the time that ``Retry-After`` names.

    Raises
    ------
    ParameterError
        For an address or number that cannot be used.

    Examples
    --------
    >>> import crossrank as cr
    >>> client = cr.Client("http://localhost:8000")  # doctest: +SKIP
    >>> best = client.rerank("a cup of coffee", list(photos))[0]  # doctest: +SKIP
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = 60.0, retries: int = 3
    ) -> None:
        check_address("client", url)
        checked("client", "timeout", timeout, positive)
        checked("client", "retries", retries, integer(0))
        checked("client", "token", token, instance_of(str, give="a str") | none)
        self.url = url.rstrip("/")
        known = os.environ.get(VARIABLE) if token is None else token
        self._caller = Caller("client", known or None, float(timeout), retries)

    def rerank(
        self,
        query: QueryLike,
        candidates: Sequence[ItemLike],
        *,
        base_scores: Scores | None = None,
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> cr.Ranking:
        """Rerank the candidates of one query by the server's stages.

        Parameters
        ----------
        query, candidates, base_scores, top_k, score_threshold
            As for `crossrank.rerank`.

        Returns
        -------
        Ranking
            What `crossrank.rerank` returns for the same stages.

        Raises
        ------
        InputError, ImageError
            For what cannot be ranked, or the server refuses.
        RemoteError
            If the server does not answer.
        """
        asked = _Asked([query], [candidates], _one(base_scores), top_k, score_threshold)
        answers = [self._post(question) for question in asked.questions]
        ranking: cr.Ranking = asked.rankings(answers).values()[0]
        return ranking

    def rerank_many(
        self,
        queries: Sequence[QueryLike],
        candidate_lists: Sequence[Sequence[ItemLike]],
        *,
        base_scores: Sequence[Scores] | None = None,
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> cr.Rankings:
        """Rerank the candidates of many queries; several requests are under way at once."""
        asked = _Asked(queries, candidate_lists, base_scores, top_k, score_threshold)
        with ThreadPoolExecutor(AT_ONCE, "crossrank-client") as pool:
            return asked.rankings(list(pool.map(self._post, asked.questions)))

    async def arerank(
        self,
        query: QueryLike,
        candidates: Sequence[ItemLike],
        *,
        base_scores: Scores | None = None,
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> cr.Ranking:
        """Rerank the candidates of one query without holding up the event loop."""
        asked = _Asked([query], [candidates], _one(base_scores), top_k, score_threshold)
        ranking: cr.Ranking = (await self._all(asked)).values()[0]
        return ranking

    async def arerank_many(
        self,
        queries: Sequence[QueryLike],
        candidate_lists: Sequence[Sequence[ItemLike]],
        *,
        base_scores: Sequence[Scores] | None = None,
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> cr.Rankings:
        """Rerank the candidates of many queries without holding up the event loop."""
        return await self._all(
            _Asked(queries, candidate_lists, base_scores, top_k, score_threshold)
        )

    def explain(
        self, query: QueryLike, candidates: Sequence[ItemLike]
    ) -> Mapping[str, Sequence[cr.Evidence]]:
        """Return per stage what speaks for each candidate, in their order; for at most 100.

        Raises
        ------
        CrossrankError
            As for `rerank`.
        """
        asked = _Asked([query], [candidates], None, None, None)
        answer = self._post({**asked.questions[0], "explain": True})
        found: dict[str, list[cr.Evidence]] = {}
        query_id, names = asked.ids[0], asked.names[0]
        for hit in sorted(_results(answer), key=lambda hit: int(hit["index"])):
            for stage, evidence in hit["evidence"].items():
                made = _evidence(evidence, query_id, names[hit["index"]])
                found.setdefault(stage, []).append(made)
        return found

    def _post(self, question: Question) -> Any:
        if not question["documents"]:
            return {"results": []}
        return self._caller.post(f"{self.url}/v1/rerank", question)

    async def _all(self, asked: _Asked) -> cr.Rankings:
        gate = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(timeout=self._caller.timeout) as client:

            async def ask(question: Question) -> Any:
                if not question["documents"]:
                    return {"results": []}
                async with gate:
                    return await self._caller.apost(client, f"{self.url}/v1/rerank", question)

            return asked.rankings(await asyncio.gather(*map(ask, asked.questions)))

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: connections are shared by the process."""

    def __repr__(self) -> str:
        return f"Client({self.url!r})"


class _Asked:
    """What a call asks, named as `crossrank.rerank_many` names it."""

    def __init__(
        self,
        queries: Sequence[QueryLike],
        lists: Sequence[Sequence[ItemLike]],
        base_scores: Sequence[Scores] | None,
        top_k: int | None,
        score_threshold: float | None,
    ) -> None:
        if len(lists) != len(queries):
            raise InputError(f"client: {len(queries)} queries, but {len(lists)} lists")
        if base_scores is not None and len(base_scores) != len(queries):
            raise InputError(f"client: {len(queries)} queries, but {len(base_scores)} base scores")
        if top_k is not None:
            checked("client", "top_k", top_k, integer(1))
        several = len(queries) > 1
        self.scored = base_scores is not None
        self.threshold = score_threshold
        self.ids: list[str] = []
        self.names: list[list[str]] = []
        self.questions: list[Question] = []
        kinds: set[str] = set()
        for place, (query, values) in enumerate(zip(queries, lists, strict=True)):
            if isinstance(values, str | Mapping):
                raise InputError("client: the candidates are no list; give a list of candidates")
            parts = as_parts(query)
            items = [as_item(value) for value in values]
            self.ids.append(next((part.id for part in parts if part.id is not None), str(place)))
            prefix = f"{self.ids[-1]}/" if several else ""
            self.names.append(
                [f"{prefix}{n}" if item.id is None else item.id for n, item in enumerate(items)]
            )
            sent = [part_of(part, "client") for part in parts]
            question: Question = {
                "query": sent[0] if len(sent) == 1 else sent,
                "documents": [part_of(item, "client") for item in items],
                "trace": True,
            }
            if base_scores is not None:
                question["base_scores"] = [float(score) for score in base_scores[place]]
            if top_k is not None:
                question["top_n"] = top_k
            self.questions.append(question)
            kinds |= {f"{_short(parts)}2{_short(items[:1])}"} if items else set()
        self.direction = kinds.pop() if len(kinds) == 1 else None

    def rankings(self, answers: Sequence[Any]) -> cr.Rankings:
        """Return what the answers say."""
        results = [_results(answer) for answer in answers]
        return rankings_of(
            self.ids, self.names, results, self.scored, self.direction, self.threshold
        )


def _results(answer: Any) -> list[Any]:
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        raise RemoteError("client: the answer holds no results; is it a crossrank server?")
    return results


def _short(items: Sequence[cr.Item]) -> str:
    kinds = {kind for item in items for kind in item.modality.split("+")}
    return "".join(kind[:1] for kind in sorted(kinds))


def _one(scores: Scores | None) -> list[Scores] | None:
    return None if scores is None else [scores]


def _evidence(said: Mapping[str, Any], query_id: str, candidate_id: str) -> cr.Evidence:
    links = [
        cr.Link(
            each["query"],
            each["candidate"],
            each["weight"],
            _box(each["query_box"]),
            _box(each["candidate_box"]),
        )
        for each in said["links"]
    ]
    maps = tuple(
        (name, tuple(tuple(float(value) for value in row) for row in rows))
        for name, rows in said["maps"]
    )
    return cr.Evidence(query_id, candidate_id, said["score"], tuple(links), maps)


def _box(values: Sequence[float] | None) -> tuple[float, float, float, float] | None:
    if values is None:
        return None
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1
