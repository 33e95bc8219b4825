"""The routes of a server, as an ASGI application."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from crossrank_serve.bodies import read_body
from crossrank_serve.guard import Guard
from crossrank_serve.openapi import document
from crossrank_serve.page_files import POLICY, page_file
from crossrank_serve.problems import RequestError, body_of
from crossrank_serve.service import Service

RERANK = ("/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/score")
"""Routes whose body a dialect reads."""


def build_app(
    service: Service, tokens: tuple[bytes, ...] = (), hosts: frozenset[str] | None = None
) -> ASGIApp:
    """Return the application; without tokens everybody may ask, for `hosts` see `Guard`."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    routes = [Route(path, _posted(service, path), methods=["POST"]) for path in RERANK]
    routes += [
        Route("/v1/search", _searched(service), methods=["POST"]),
        Route("/v1/gallery", _answering(service.gallery)),
        Route("/v1/pictures/{row:int}", _pictured(service)),
        Route("/", _page("index.html")),
        Route("/page/{name}", _page()),
        Route("/health", _answering(lambda: {"status": "ok"})),
        Route("/ready", _answering(lambda: _ready(service))),
        Route("/metrics", _metrics(service)),
        Route("/openapi.json", _answering(lambda: document(service.name))),
        Route("/v1/models", _answering(lambda: {"object": "list", "data": [_model(service)]})),
        Route("/v1/models/{name:path}", _described(service)),
        Route("/v1/cluster/auth", _answering(lambda: {"auth": bool(tokens)})),
    ]
    app = Starlette(
        routes=routes,
        lifespan=life,
        exception_handlers=dict.fromkeys((RequestError, HTTPException, Exception), _problem),
    )
    app.router.redirect_slashes = False
    paths = frozenset(route.path for route in routes)
    return Guard(app, tokens, service.metrics.answered, paths, hosts)


Endpoint = Callable[[Request], Awaitable[Response]]


def _posted(service: Service, path: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        data = await read_body(request, service.limits)
        agent = request.headers.get("user-agent", "")
        answer = await service.answer(path, data, request.state.request_id, agent)
        return as_json(answer)

    return endpoint


def _searched(service: Service) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        data = await read_body(request, service.limits)
        return as_json(await service.search(data, request.state.request_id))

    return endpoint


def _pictured(service: Service) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        data = await service.thumbnail(request.path_params["row"])
        headers = {"cache-control": "private, max-age=60"}
        return Response(data, media_type="image/jpeg", headers=headers)

    return endpoint


def _page(name: str | None = None) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        data, kind = page_file(request.path_params["name"] if name is None else name)
        return Response(data, media_type=kind, headers={"content-security-policy": POLICY})

    return endpoint


def _answering(tell: Callable[[], Any]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return as_json(tell())

    return endpoint


def _described(service: Service) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        name = request.path_params["name"]
        service.check_model(name)
        return as_json({**_model(service), "id": name})

    return endpoint


def _metrics(service: Service) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return endpoint


def _ready(service: Service) -> dict[str, Any]:
    state = service.state
    if state.draining:
        raise RequestError(503, "the server is about to stop", 1)
    if state.failed:
        raise RequestError(503, "the models could not be loaded; the server's log says why", 60)
    if not state.ready:
        raise RequestError(503, "the models are being loaded", 1)
    return {"status": "ready"}


def _model(service: Service) -> dict[str, Any]:
    """Describe the model as OpenAI's list does, and as Xinference's."""
    engine = service.engine
    return {
        "id": service.name,
        "object": "model",
        "created": 0,
        "owned_by": "crossrank",
        "model_type": "rerank",
        "model_name": service.name,
        "encoder": engine.encoder.info.name,
        "stages": [stage.name for stage in engine.scored.stages],
    }


def as_json(value: Any, status: int = 200) -> Response:
    """Return a value as a response; NaN is a mistake of ours, never an answer."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), status, media_type="application/json")


async def _problem(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        allowed = (error.headers or {}).get("Allow")
        said = {
            404: f"there is no {request.url.path[:80]!r}; /openapi.json lists the routes",
            405: f"{request.url.path[:80]!r} takes {allowed}, not {request.method}",
        }
        problem = RequestError(error.status_code, said.get(error.status_code, error.detail))
        headers = dict(error.headers or {})
    else:
        problem = error if isinstance(error, RequestError) else RequestError(500, INTERNAL)
        headers = {}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    if problem.status in (408, 413):
        headers["connection"] = "close"
    response = as_json(body_of(problem, request.state.request_id), problem.status)
    response.headers.update(headers)
    return response


INTERNAL = "an error inside the server; its log says which"
