"""One promise, ready to be tried."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from crossrank.errors import MissingFeatureError


class Check:
    """A callable that passes, or raises AssertionError with what is broken and how.

    Parameters
    ----------
    subject
        The class under test, as messages call it.
    name
        The promise; test runners show it as the test's id.
    run
        Tries it.

    Notes
    -----
    Whatever else `run` raises becomes an AssertionError too: a plugin that fails keeps no promise.
    """

    def __init__(self, subject: str, name: str, run: Callable[[], None]) -> None:
        self.__name__ = name
        self._subject = subject
        self._run = run

    def __call__(self) -> None:
        """Try the promise.

        Raises
        ------
        AssertionError
            If it is broken.
        """
        __tracebackhide__ = True  # pytest then shows the message instead of this frame
        try:
            self._run()
        except AssertionError as error:
            raise AssertionError(f"{self._subject}: {error}") from error.__cause__
        except (Exception, SystemExit) as error:
            raise AssertionError(
                f"{self._subject}: {self.__name__}: raised {type(error).__name__}: {error}"
                f"{_hint(error)}"
            ) from error

    def __repr__(self) -> str:
        return f"<check {self.__name__} of {self._subject}>"


def checks_in(*modules: ModuleType) -> tuple[Callable[[Any], None], ...]:
    """Return all public functions of some modules, as they stand there: each is a check."""
    return tuple(
        function
        for module in modules
        for name, function in vars(module).items()
        if isinstance(function, FunctionType)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    )


def require(held: bool, message: str) -> None:
    """Raise AssertionError unless something held (an assert statement vanishes under ``-O``)."""
    __tracebackhide__ = True
    if not held:
        raise AssertionError(message)


def _hint(error: BaseException) -> str:
    if isinstance(error, MissingFeatureError):
        return "; in score(), a block holds what info or needs() names and nothing else"
    if isinstance(error, ValueError) and "read-only" in str(error):
        return "; a block is read-only: copy what you change"
    return ""
