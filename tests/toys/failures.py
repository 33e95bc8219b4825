"""Which checks of the conformance kit fail."""

from __future__ import annotations

from crossrank.testing import Check


def failures(checks: list[Check]) -> dict[str, str]:
    """Return what each failing check says, for the first direction in which it fails."""
    found: dict[str, str] = {}
    for check in checks:
        try:
            check()
        except AssertionError as error:
            found.setdefault(check.__name__.partition("-")[0], str(error))
    return found
