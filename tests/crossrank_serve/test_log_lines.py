"""What clients may cause over and over does not fill the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from crossrank_serve import log_lines
from crossrank_serve.log_lines import REQUESTS, Seldom, requests_told


def record(message: str, name: str = "a", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, message, (3,), None)


def test_a_kind_is_said_once_in_a_while() -> None:
    clock = [0.0]
    seldom = Seldom(60, lambda: clock[0])
    assert seldom.filter(record("%d short lists")) and not seldom.filter(record("%d short lists"))
    assert seldom.filter(record("another %d")) and seldom.filter(record("%d short lists", "b"))
    clock[0] = 60.0
    assert seldom.filter(record("%d short lists")) and not seldom.filter(record("%d short lists"))


def test_requests_and_errors_are_always_said() -> None:
    seldom = Seldom()
    for _ in range(3):
        assert seldom.filter(record("%s", REQUESTS, logging.INFO))
        assert seldom.filter(record("broken %d", level=logging.ERROR))


def test_what_it_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "MOST", 10)
    seldom = Seldom()
    assert all(seldom.filter(record(f"kind {number}")) for number in range(50))
    assert seldom.filter(record("kind 0")) and not seldom.filter(record("kind 49"))


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    made = logging.NullHandler()
    logging.getLogger().addHandler(made)
    yield made
    logging.getLogger().removeHandler(made)


def test_logging_is_left_as_it_was_found(handler: logging.Handler) -> None:
    requests = logging.getLogger(REQUESTS)
    found = requests.level, {h: list(h.filters) for h in logging.getLogger().handlers}
    with pytest.raises(KeyboardInterrupt), requests_told():
        assert isinstance(handler.filters[-1], Seldom)
        assert requests.level == logging.INFO
        raise KeyboardInterrupt
    assert found == (requests.level, {h: list(h.filters) for h in logging.getLogger().handlers})
