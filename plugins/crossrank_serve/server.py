"""The network: a socket, uvicorn, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from crossrank.errors import InputError
from crossrank_serve.guard import send_problem
from crossrank_serve.limits import Limits
from crossrank_serve.problems import RequestError
from crossrank_serve.service import State

BACKLOG = 2048
"""Connections that wait to be accepted, from the moment the address is told."""

HEADER_SECONDS = 20.0
"""Until the head of a request has come."""

DRAIN_SECONDS = 0.3
"""How long new connections are still answered after SIGTERM, while others learn of it.

And how long, after that, a connection that was accepted is waited on for its request.
"""

CLOSE = (b"connection", b"close")

GRACE_SECONDS = 30
"""How long answers that are under way may take after that."""

LAST_SECONDS = 5.0
"""What the end may take when there is nothing to answer any more.

Python waits for its threads, and one that encodes long texts for a client that has gone may take
minutes.
"""


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and answer what was accepted: uvicorn drops who has not asked yet."""
        loop, listened = asyncio.get_running_loop(), sockets or []
        for each in listened:
            with suppress(NotImplementedError):
                loop.remove_reader(each)
        await asyncio.sleep(0.02)  # asyncio drops what it has accepted and not yet taken up
        waiting = [connection for each in listened for connection in accepted(each)]
        for server in self.servers:
            server.close()
        for each in waiting:
            await loop.connect_accepted_socket(self._protocol, each)
        until = loop.time() + DRAIN_SECONDS
        while self.server_state.connections and loop.time() < until and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._state.draining:
            self.should_exit = self.force_exit = True
            end_within(LAST_SECONDS)
            return
        self._state.draining = True
        end_within(2 * DRAIN_SECONDS + GRACE_SECONDS + LAST_SECONDS)
        # a client that would send its next request over this connection meets its end otherwise
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        loop.call_later(DRAIN_SECONDS, setattr, self, "should_exit", True)


async def crowded(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what comes over a connection too many."""
    problem = RequestError(503, "too many connections are open; try again in a moment", 1)
    await send_problem(send, problem, uuid.uuid4().hex, close=True)


class Patient(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """A connection that is closed when the head of a request does not come.

    uvicorn waits for it for ever, so that whoever opens connections could take them all.  One that
    is beyond the limit gets its answer here: uvicorn's own has another body than every error of
    ours.
    """

    most = Limits().connections
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self.app = crowded
        self._limit = self.loop.call_later(HEADER_SECONDS, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait no longer when a request is under way, and begin again with the next."""
        super().data_received(data)
        if self._busy():
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None
        elif self._limit is None:
            self._limit = self.loop.call_later(HEADER_SECONDS, self._close)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close(self) -> None:
        self._limit = None
        if not self._busy():
            self.transport.close()


def accepted(bound: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that wait to be accepted: to close a socket resets them."""
    bound.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield bound.accept()[0]


def end_within(seconds: float) -> None:
    """End this process with exit code 0 if it has not ended by itself after so many seconds."""
    timer = threading.Timer(seconds, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound."""
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
    return bound


def run(app: ASGIApp, bound: socket.socket, limits: Limits, state: State) -> None:
    """Serve until told to end."""
    _allow_files(2 * limits.connections)
    Server(config_of(app, limits), state).run(sockets=[bound])


def config_of(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    """Return what uvicorn is told."""
    return uvicorn.Config(
        app,
        http=type("Patient", (Patient,), {"most": limits.connections}),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )


def _allow_files(count: int) -> None:
    """Let this process hold as many connections as it means to."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
