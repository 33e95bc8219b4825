"""The packages that the server stands on."""

from __future__ import annotations

from crossrank.plugin.optional import required


def required_packages() -> None:
    """Refuse to start without them.

    Raises
    ------
    MissingPackageError
        Saying how to install them.
    """
    for name in ("starlette", "uvicorn", "prometheus_client"):
        required(name, "serve", "the command serve")
