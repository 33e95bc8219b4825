"""One question to a server: posted, asked again where that helps, its error told in one line."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import sleep as pause
from typing import Any

import httpx

from crossrank.errors import InputError, RemoteError

REFUSED = frozenset({400, 413, 415, 422})
"""Statuses that say something is wrong with what was sent."""


AGAIN = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same request may succeed."""

FIRST_WAIT = 0.5
"""Seconds before the second try, doubled before each other, where the server names none."""

LONGEST_WAIT = 60.0
"""Who is told to wait longer gives up."""


def seconds_until(headers: Mapping[str, str], attempt: int, now: float | None = None) -> float:
    """Return how long to wait after an answer that may be better next time.

    Parameters
    ----------
    headers
        Of the answer; ``Retry-After`` in seconds or as a date is obeyed.
    attempt
        How many tries there have been, from 1.
    now
        The time, for tests.
    """
    said = headers.get("retry-after", "").strip()
    if said.isdigit():
        return float(said)
    if said:
        try:
            when = email.utils.parsedate_to_datetime(said).timestamp()
        except (TypeError, ValueError):
            pass
        else:
            return max(0.0, when - (time.time() if now is None else now))
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)))


def tries_again(status: int | None, attempt: int, retries: int) -> bool:
    """Tell whether to ask again: after no answer (None), or one that may be better next time."""
    return attempt <= retries and (status is None or status in AGAIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """Where and how to ask.

    Parameters
    ----------
    who
        Who asks, for messages.
    token
        Sent as a bearer token; None for none.
    timeout
        Seconds that one try may take.
    retries
        How many more tries there are.
    """

    who: str
    token: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    retries: int = 3

    def post(self, url: str, body: Any) -> Any:
        """Return the JSON that a server answers.

        Raises
        ------
        InputError
            If it refuses what was sent.
        RemoteError
            If it does not answer, cannot, or asks for another token.
        """
        client = shared_client(self.timeout)
        attempt = 1
        while True:
            answer: httpx.Response | httpx.TransportError
            try:
                answer = client.post(url, json=body, headers=self._headers())
            except httpx.TransportError as error:
                answer = error
            wait = self._wait(answer, attempt)
            if wait is None:
                return self._read(url, answer)
            pause(wait)
            attempt += 1

    async def apost(self, client: httpx.AsyncClient, url: str, body: Any) -> Any:
        """Return the same without holding up the event loop."""
        attempt = 1
        while True:
            answer: httpx.Response | httpx.TransportError
            try:
                answer = await client.post(url, json=body, headers=self._headers())
            except httpx.TransportError as error:
                answer = error
            wait = self._wait(answer, attempt)
            if wait is None:
                return self._read(url, answer)
            await asyncio.sleep(wait)
            attempt += 1

    def _headers(self) -> dict[str, str]:
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    def _wait(self, answer: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
        """Return how long to wait before the next try, None where there is none."""
        response = answer if isinstance(answer, httpx.Response) else None
        status = None if response is None else response.status_code
        if not tries_again(status, attempt, self.retries):
            return None
        wait = seconds_until({} if response is None else response.headers, attempt)
        return wait if wait <= LONGEST_WAIT else None

    def _read(self, url: str, answer: httpx.Response | httpx.TransportError) -> Any:
        if isinstance(answer, httpx.TransportError):
            said = str(answer) or type(answer).__name__
            raise RemoteError(
                f"{self.who}: {url} does not answer: {said}; check the address, or whether the "
                "server runs"
            ) from answer
        if answer.status_code == 200:
            try:
                return answer.json()
            except ValueError as error:
                raise RemoteError(
                    f"{self.who}: {url} answered something that is no JSON; check the address"
                ) from error
        kind = InputError if answer.status_code in REFUSED else RemoteError
        raise kind(f"{self.who}: {url} answered {answer.status_code}: {_detail(answer)}")


def _detail(answer: httpx.Response) -> str:
    """Return what a server says of its error, in whichever dialect."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    found = next(
        (
            body[key]
            for key in ("detail", "message", "error")
            if isinstance(body, dict) and body.get(key)
        ),
        answer.reason_phrase or "no reason",
    )
    if isinstance(found, dict):
        found = found.get("message", found)
    return " ".join(str(found).split())[:500]


@lru_cache(maxsize=16)
def shared_client(timeout: float) -> httpx.Client:
    """Return the process's client of a timeout: its connections are used again."""
    return httpx.Client(timeout=timeout, follow_redirects=False)
