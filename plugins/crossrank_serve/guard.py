"""Around every request: an id, the token, one error body, a line in the log, a count."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossrank_serve.problems import RequestError, body_of, problem_of
from crossrank_serve.tokens import check_token

logger = logging.getLogger("crossrank_serve.requests")

OPEN = frozenset({"/", "/health", "/ready", "/openapi.json", "/v1/cluster/auth"})
"""Routes that need no token: they tell nothing."""

PROBES = frozenset({"/health", "/ready", "/metrics"})
"""Routes that are asked every few seconds."""

STOPPING = "the server is stopping and cannot answer any more; ask again"

SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)

Count = Callable[[str, int, float], None]


class Guard:
    """The outermost application.

    Parameters
    ----------
    app
        What answers.
    tokens
        See `check_token`.
    count
        Called with route, status and seconds of every request.
    routes
        Paths that are counted by name; others are counted together.
    hosts
        Names by which the server may be asked; None for any.  A page of anybody's can let its own
        name point to this machine, and would read what a server without a token tells.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: tuple[bytes, ...],
        count: Count,
        routes: frozenset[str],
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._count = count
        self._routes = routes
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on the server's start and end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = id
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*SAFE, (b"x-request-id", id.encode())]
                named = {name for name, _ in message.get("headers", ())}
                added = [pair for pair in own if pair[0] not in named]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        try:
            self._check_host(scope)
            if scope["path"] not in OPEN and not scope["path"].startswith("/page/"):
                check_token(self._tokens, scope["headers"])
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            # by uvicorn, when the time to answer after SIGTERM is over; it would say 500 itself
            if status == 0:
                await send_problem(noted, RequestError(503, STOPPING, 1), id)
        except Exception as error:
            problem = problem_of(error)
            if problem.status == 500:
                logger.error("request %s failed", id, exc_info=error)
            if status == 0:
                await send_problem(noted, problem, id)
        finally:
            seconds = time.perf_counter() - began
            route = scope["path"] if scope["path"] in self._routes else "other"
            self._count(route, status, seconds)
            level = logging.DEBUG if route in PROBES else logging.INFO
            logger.log(
                level, "%s %s %d %.1f ms %s", scope["method"], route, status, seconds * 1000, id
            )

    def _check_host(self, scope: Scope) -> None:
        if self._hosts is None:
            return
        given = next((value for name, value in scope["headers"] if name == b"host"), b"")
        name = given.decode("latin-1").lower()
        host = name.partition("]")[0].lstrip("[") if name[:1] == "[" else name.partition(":")[0]
        if host not in self._hosts:
            raise RequestError(
                403, "this server is asked by another name than its own; --allow-host NAME lets it"
            )


async def send_problem(send: Send, problem: RequestError, id: str, close: bool = False) -> None:
    """Answer with the one error body, and close the connection where that is wanted."""
    body = json.dumps(body_of(problem, id)).encode()
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if problem.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    if close or problem.status in (408, 413):
        # what is still coming of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _request_id(scope: Scope) -> str:
    """Return the client's own id where it is harmless in a log, else a new one."""
    given: Any = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    text = given.decode("latin-1")
    return text if re.fullmatch(r"[\w.-]{1,64}", text, re.ASCII) else uuid.uuid4().hex
