"""How each kind of server is asked for scores, and where they stand in its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from crossrank.errors import RemoteError

Part = Mapping[str, str]
"""``{"text"?, "image"?}``, a picture as a data URI."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A way to ask.

    Parameters
    ----------
    path
        Where it is asked, below the server's address.
    documents
        The field of the candidates.
    results
        The field of the answer, None for a bare list.
    score
        The field of a score.
    as_content
        How one query or candidate is written.
    fields
        What else is sent.
    most
        Candidates per request, None for any number.
    """

    path: str
    documents: str
    results: str | None
    score: str
    as_content: Callable[[Part], Any]
    fields: Mapping[str, Any]
    most: int | None = None

    def address(self, url: str) -> str:
        """Return where to ask: an address that names a route itself is taken as it is."""
        parts = urlsplit(url)
        own = parts.path.rstrip("/")
        if own.endswith("/rerank"):
            return url
        head, _, last = self.path.rpartition("/")
        path = f"{own}/{last}" if head and own.endswith(head) else f"{own}{self.path}"
        return urlunsplit(parts._replace(path=path))

    def question(self, query: Part, candidates: Sequence[Part], model: str | None) -> Any:
        """Return the body of a request."""
        body: dict[str, Any] = {
            "query": self.as_content(query),
            self.documents: [self.as_content(each) for each in candidates],
            **self.fields,
        }
        if model is not None:
            body["model"] = model
        if self.results is not None:
            body["top_n"] = len(candidates)
        return body

    def scores(self, answer: Any, count: int, who: str) -> list[float]:
        """Return one score per candidate, in their order.

        Raises
        ------
        RemoteError
            If the answer lacks one, has one twice, or one that is no finite number.
        """
        results = answer
        if self.results is not None:
            results = answer.get(self.results) if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise RemoteError(f"{who}: the answer holds no list of results; is it this dialect?")
        found: dict[int, float] = {}
        for each in results:
            place, score = _entry(each, self.score, who)
            if not 0 <= place < count or place in found:
                raise RemoteError(
                    f"{who}: the answer names candidate {place} of {count}, or names it twice"
                )
            found[place] = score
        if len(found) < count:
            missing = next(place for place in range(count) if place not in found)
            raise RemoteError(f"{who}: the answer has no score for candidate {missing} of {count}")
        return [found[place] for place in range(count)]


def _entry(result: Any, name: str, who: str) -> tuple[int, float]:
    place = result.get("index") if isinstance(result, dict) else None
    score = result.get(name) if isinstance(result, dict) else None
    if isinstance(place, bool) or not isinstance(place, int):
        raise RemoteError(f"{who}: a result of the answer has no index")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise RemoteError(f"{who}: the answer gives candidate {place} no finite {name!r}")
    return place, float(score)


def plain(part: Part) -> Any:
    """Write a text as a string, which every server takes, and a picture as Jina does."""
    return part["text"] if set(part) == {"text"} else dict(part)


def parts(part: Part) -> Any:
    """Write a text as a string and a picture as vLLM takes it, in content parts."""
    if set(part) == {"text"}:
        return part["text"]
    content: list[dict[str, Any]] = []
    if "image" in part:
        content.append({"type": "image_url", "image_url": {"url": part["image"]}})
    if "text" in part:
        content.append({"type": "text", "text": part["text"]})
    return {"content": content}


DIALECTS: Mapping[str, Dialect] = {
    "jina": Dialect(
        "/v1/rerank",
        "documents",
        "results",
        "relevance_score",
        plain,
        {"return_documents": False},
    ),
    "cohere": Dialect("/v2/rerank", "documents", "results", "relevance_score", plain, {}),
    "tei": Dialect("/rerank", "texts", None, "score", plain, {"truncate": True}, most=32),
    "vllm": Dialect("/rerank", "documents", "results", "relevance_score", parts, {}),
}
"""By the name that the reranker's parameter takes."""
