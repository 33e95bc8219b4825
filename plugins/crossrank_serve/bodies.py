"""The body of a request: of the right kind, not too large, not too slow."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from crossrank_serve.limits import Limits
from crossrank_serve.problems import RequestError, too_large


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the whole body.

    Raises
    ------
    RequestError
        415 for another kind than JSON, 413 for a large one, 408 for a slow one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise RequestError(415, f"the body is {kind[:60] or 'of no kind'}; send application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(415, "the body is compressed; send it as it is")
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read(request, limits)
    except TimeoutError:
        raise RequestError(
            408, f"the body did not come within {limits.body_seconds:g} seconds; send it faster"
        ) from None
    except ClientDisconnect:
        raise RequestError(400, "the connection was closed before the body had come") from None


async def _read(request: Request, limits: Limits) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > limits.body_bytes:
            raise _too_large(limits)
    return bytes(parts)


def _too_large(limits: Limits) -> RequestError:
    return too_large(f"the body has more than {limits.body_bytes:,} bytes; send less at once")
