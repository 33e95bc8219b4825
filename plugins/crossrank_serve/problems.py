"""What is wrong with a request: one exception with a status, one body for every dialect."""

from __future__ import annotations

from typing import Any

from crossrank.errors import (
    BudgetError,
    CrossrankError,
    MissingFeatureError,
    MissingPackageError,
    PluginError,
    StoreError,
)

KINDS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    422: "validation",
    424: "failed_dependency",
    429: "overloaded",
    500: "internal",
    503: "unavailable",
    504: "timeout",
}
"""What each status is called in ``error_type``."""


class RequestError(CrossrankError):
    """A request that is answered with an error.

    Parameters
    ----------
    status
        The HTTP status.
    message
        Who, what, and how to mend it; nothing of this machine.
    retry_after
        After how many seconds to try again, for 429 and 503.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


def invalid(message: str) -> RequestError:
    """Return the problem of a field that cannot be used."""
    return RequestError(422, message)


def too_large(message: str) -> RequestError:
    """Return the problem of something beyond a limit."""
    return RequestError(413, message)


def problem_of(error: BaseException) -> RequestError:
    """Return the problem that an error of the library is to whoever sent the request.

    What is the server's own fault says so without a word of where it lies.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, PluginError | StoreError | BudgetError | MissingPackageError):
        return RequestError(503, "the server cannot score this now; its log says why", 5)
    if isinstance(error, MissingFeatureError):
        return invalid(
            "the server's encoder does not give what its reranker needs of this kind of query or "
            "document; send texts where pictures were sent, or the other way round"
        )
    if isinstance(error, CrossrankError):
        return invalid(str(error))
    if isinstance(error, MemoryError):
        return RequestError(503, "the server is out of memory; send less at once", 5)
    return RequestError(500, "an error inside the server; its log says which")


def body_of(problem: RequestError, request_id: str) -> dict[str, Any]:
    """Return the one error body, in which clients of every dialect find their own field."""
    message = str(problem)
    return {
        "detail": message,
        "message": message,
        "error": message,
        "error_type": KINDS.get(problem.status, "error"),
        "code": problem.status,
        "request_id": request_id,
    }
