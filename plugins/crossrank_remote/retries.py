"""When to ask a server again, and after how long."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping

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
