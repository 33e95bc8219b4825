"""The network: a socket, uvicorn, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from crossrank.errors import InputError
from crossrank_serve.limits import Limits
from crossrank_serve.service import State

BACKLOG = 2048
"""Connections that wait to be accepted, from the moment the address is told."""

DRAIN_SECONDS = 0.3
"""How long new connections are still answered after SIGTERM, while others learn of it."""

GRACE_SECONDS = 30
"""How long answers that are under way may take after that."""


class Server(uvicorn.Server):
    """A server that ends with exit code 0 when it is told to end.

    uvicorn raises the signal again when it is done, which ends the process as if by that signal.
    """

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Heed SIGTERM and SIGINT once the gentle way, the second time at once."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._end, loop))
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Heed a signal; see `capture_signals`."""
        self.should_exit = True

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._state.draining:
            self.should_exit = self.force_exit = True
            return
        self._state.draining = True
        loop.call_later(DRAIN_SECONDS, setattr, self, "should_exit", True)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound.

    Raises
    ------
    InputError
        If the address is taken or not of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"serve: {host}:{port} cannot be listened on: {error}; give another --host or --port"
        ) from error
    bound.set_inheritable(True)
    return bound


def run(app: ASGIApp, bound: socket.socket, limits: Limits, state: State) -> None:
    """Serve until told to end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        limit_concurrency=limits.connections,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
    Server(config, state).run(sockets=[bound])
