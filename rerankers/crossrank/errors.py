"""One exception type per kind of trouble.

Every message says who complains, what is wrong and how to mend it.  Catch :class:`CrossrankError`
to catch them all; the command line turns any of them into one line and exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterable


class CrossrankError(Exception):
    """Base class of everything crossrank raises on purpose."""


class InputError(CrossrankError, ValueError):
    """A value from the caller cannot be used: NaN, wrong shape, empty, out of range."""


class ParameterError(CrossrankError, ValueError):
    """A parameter of a plugin, stage or fusion is unknown or invalid."""


class UnknownIdError(CrossrankError, LookupError):
    """An id is not in the collection that should hold it."""


class DuplicateIdError(CrossrankError, ValueError):
    """An id stands twice where ids must be unique."""


class OrientationError(CrossrankError, ValueError):
    """Queries and gallery are swapped, or a direction does not fit what was given."""


class MissingFeatureError(CrossrankError, LookupError):
    """A collection lacks a feature that a plugin needs."""


class FeatureMismatchError(CrossrankError, ValueError):
    """Two collections hold the same feature in sizes that do not go together."""


class MissingPackageError(CrossrankError, ImportError):
    """An optional package is not installed, or cannot be imported."""


class UnknownPluginError(CrossrankError, LookupError):
    """No plugin of that name is installed."""


class PluginError(CrossrankError, RuntimeError):
    """A plugin could not be loaded, raised, or broke its contract."""


class ScoreError(PluginError):
    """A reranker returned scores of the wrong shape or type, NaN, or infinity."""


class StoreError(CrossrankError, OSError):
    """A folder on disk is not what it should be: missing, truncated, foreign, or full."""


class BudgetError(CrossrankError, MemoryError):
    """What cannot be split needs more memory than was granted."""


class ClusterError(CrossrankError, RuntimeError):
    """A Ray cluster does not answer, lacks what the run needs, or failed while it ran."""


class RemoteError(CrossrankError, RuntimeError):
    """A server does not answer, refuses the caller, or answers something else than was asked."""


class FormatError(CrossrankError, ValueError):
    """A text file (run, qrels, captions, items) has a line that cannot be read."""


class ImageError(CrossrankError, ValueError):
    """A picture cannot be read, or is refused before decoding."""


LONGEST_NAME = 200
"""Characters: callers write anything where a name should stand, also a whole text."""


def nearest(name: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'a' or 'b'?"`` for the names closest to `name`, or what there is.

    Parameters
    ----------
    name
        What the caller wrote.
    known
        The names that would have been right.
    """
    import difflib

    names = sorted(known)
    close: list[str] = []
    if isinstance(name, str) and len(name) <= LONGEST_NAME:
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "; did you mean " + " or ".join(repr(match) for match in close) + "?"
    if len(names) > 12:
        return f"; there are {', '.join(names[:8])} and {len(names) - 8} more"
    return "; there are " + ", ".join(names) if names else ""


def missing_package(package: str, extra: str, purpose: str) -> MissingPackageError:
    """Return the error that names the command which brings an optional package.

    Parameters
    ----------
    package
        The import name that failed.
    extra
        The extra of ``crossrank`` that installs it.
    purpose
        What needs it, as the start of a sentence ("the lite encoder").
    """
    return MissingPackageError(
        f"{purpose} needs the package {package!r}, which is not installed; "
        f'pip install "crossrank[{extra}]"'
    )


__all__ = [
    "BudgetError",
    "ClusterError",
    "CrossrankError",
    "DuplicateIdError",
    "FeatureMismatchError",
    "FormatError",
    "ImageError",
    "InputError",
    "MissingFeatureError",
    "MissingPackageError",
    "OrientationError",
    "ParameterError",
    "PluginError",
    "RemoteError",
    "ScoreError",
    "StoreError",
    "UnknownIdError",
    "UnknownPluginError",
    "missing_package",
    "nearest",
]
