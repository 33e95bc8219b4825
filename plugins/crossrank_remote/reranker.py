"""The reranker ``remote``: a stage that another server scores."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

import crossrank as cr
from crossrank.errors import CrossrankError, InputError, ParameterError
from crossrank.plugin.optional import required
from crossrank.plugin.parameters import check, checked, integer, none, one_of, positive, text
from crossrank_remote.dialects import DIALECTS, Part
from crossrank_remote.wire import part_of

logger = logging.getLogger(__name__)

VARIABLE = "CROSSRANK_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteParameters:
    """Where and how to ask.

    Parameters
    ----------
    url
        The server's address, such as ``"http://localhost:8000"``, or that of its route.
    dialect
        ``"jina"`` (``/v1/rerank``), ``"cohere"`` (``/v2/rerank``), ``"tei"`` or ``"vllm"``
        (``/rerank``).
    model
        The name of the model, where the server wants one.
    token
        A bearer token; by default that of the environment variable ``CROSSRANK_TOKEN``, if it is
        set.
    timeout
        Seconds that one try may take.
    retries
        How many more tries there are, after the time that ``Retry-After`` names.
    batch_size
        Candidates per request; by default 32 for ``"tei"``, which takes no more, else all.
    concurrency
        Requests that are under way at once.
    on_error
        When the server fails for a query: ``"raise"``, or ``"base_order"``, which abstains from its
        candidates and says why in the trace.
    """

    url: str
    dialect: str = "jina"
    model: str | None = None
    token: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    retries: int = 3
    batch_size: int | None = None
    concurrency: int = 4
    on_error: str = "raise"

    def __post_init__(self) -> None:
        check(
            "remote",
            self,
            url=text,
            dialect=one_of(*DIALECTS),
            model=text | none,
            token=text | none,
            timeout=positive,
            retries=integer(0),
            batch_size=integer(1) | none,
            concurrency=integer(1),
            on_error=one_of("raise", "base_order"),
        )
        check_address("remote", self.url)


def check_address(who: str, url: str) -> None:
    """Refuse what is no address of a server."""
    checked(who, "url", url, text)
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_right = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right:
        raise ParameterError(f"{who}: url is {url!r:.80}; give one such as 'http://localhost:8000'")


class RemoteReranker(cr.Reranker):
    """Scores of a server that speaks the dialect of Jina, Cohere, TEI or vLLM.

    It sends what the candidates say or show: the features ``text`` and ``path``.
    """

    info = cr.RerankerInfo(
        name="remote",
        summary="scores of a server: crossrank serve, TEI, vLLM, Cohere, Jina",
        extra="remote",
    )
    Parameters: ClassVar[type] = RemoteParameters
    params: RemoteParameters

    def __init__(self, /, **params: Any) -> None:
        super().__init__(**params)
        required("httpx", "remote", "the reranker remote")  # said before there is work

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return ``text`` or ``path``, by what each side is."""
        return cr.Needs(_content(context.queries), _content(context.gallery))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Ask the server once per query, several at a time."""
        queries = [_part(block.queries, row) for row in range(len(block.queries))]
        rows = [np.flatnonzero(mask).tolist() for mask in block.mask]
        asked = [row for row, columns in enumerate(rows) if columns]
        jobs = [(queries[row], [int(block.index[row, at]) for at in rows[row]]) for row in asked]
        values = np.zeros(block.mask.shape, np.float32)
        abstained = np.zeros(block.mask.shape, np.bool_)
        reason = ""
        for row, answer in zip(asked, self._answers(block.candidates, jobs), strict=True):
            if isinstance(answer, CrossrankError):
                abstained[row, rows[row]] = True
                reason = str(answer)
            else:
                values[row, rows[row]] = answer
        return cr.Scores(values, abstained if reason else None, reason)

    def _answers(
        self, candidates: cr.Collection, jobs: Sequence[tuple[Part, list[int]]]
    ) -> Iterator[list[float] | CrossrankError]:
        def ask(job: tuple[Part, list[int]]) -> list[float] | CrossrankError:
            try:
                return self._scores(job[0], [_part(candidates, row) for row in job[1]])
            except CrossrankError as error:
                if self.params.on_error == "raise":
                    raise
                logger.warning("%s", error)
                return error

        with ThreadPoolExecutor(self.params.concurrency, "crossrank-remote") as pool:
            yield from pool.map(ask, jobs)

    def _scores(self, query: Part, candidates: Sequence[Part]) -> list[float]:
        from crossrank_remote.calling import Caller  # which brings httpx

        params, dialect = self.params, DIALECTS[self.params.dialect]
        step = params.batch_size or dialect.most or max(1, len(candidates))
        token = os.environ.get(VARIABLE) if params.token is None else params.token
        caller = Caller("remote", token or None, params.timeout, params.retries)
        url = dialect.address(params.url)
        scores: list[float] = []
        for start in range(0, len(candidates), step):
            some = candidates[start : start + step]
            answer = caller.post(url, dialect.question(query, some, params.model))
            scores += dialect.scores(answer, len(some), f"remote: {url}")
        return scores


def _content(side: cr.Collection) -> tuple[str, ...]:
    names = {"text": ("text",), "image": ("path",), "image+text": ("path", "text")}
    if side.modality not in names:
        raise InputError(f"remote: a server takes texts and pictures, not {side.modality!r}")
    return names[side.modality]


def _part(side: cr.Collection, row: int) -> Part:
    text_ = str(side["text"][row]) if "text" in side.modality else None
    path = Path(side["path"][row]) if "image" in side.modality else None
    return part_of(cr.Item(side.ids[row], text_, path), "remote")
