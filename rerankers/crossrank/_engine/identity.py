"""Digests of what a score depends on: features, ids, plugin code and parameters, by content."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from crossrank._items.collection import Collection
from crossrank._items.fingerprint import fingerprint
from crossrank._own_names import PARSING
from crossrank.plugin import registry
from crossrank.plugin.contract import Context, Reranker
from crossrank.plugin.optional import loaded

MOST_FILES = 2000


class Digests:
    """Digests of two collections' features and ids, each computed once.

    Parameters
    ----------
    queries, gallery
        The collections.
    """

    def __init__(self, queries: Collection, gallery: Collection) -> None:
        self._sides = {"queries": queries, "gallery": gallery}
        self._found: dict[tuple[str, str], str] = {}

    def of(self, side: str, feature: str) -> str:
        """Return the digest of one side's feature, or of its ids for ``"ids"``."""
        place = side, feature
        if place not in self._found:
            collection = self._sides[side]
            value = collection.ids if feature == "ids" else collection[feature]
            self._found[place] = fingerprint(value)
        return self._found[place]

    def read_by(self, scorer: Reranker, context: Context) -> dict[str, str]:
        """Return the digests of all that a scorer reads, by side and name."""
        needs = scorer.needs(context)
        digests = {f"queries.{name}": self.of("queries", name) for name in ("ids", *needs.queries)}
        return digests | {
            f"gallery.{name}": self.of("gallery", name) for name in ("ids", *needs.candidates)
        }

    def known(self) -> dict[str, str]:
        """Return what was computed so far, for the record."""
        return {f"{side}.{name}": digest for (side, name), digest in sorted(self._found.items())}


def identity(scorer: Reranker) -> dict[str, str] | None:
    """Return by what a scorer is recognised: name, version, source, parameters.

    None where its source cannot be found; such a scorer's scores are not kept on disk.
    """
    kind = type(scorer)
    source = source_digest(kind)
    if source is None:
        return None
    return {
        "reranker": scorer.info.name,
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "distribution": registry.origin("reranker", scorer.info.name),
        "crossrank": version("crossrank"),
        "source": source,
        "parameters": parameters_digest(scorer),
    }


def parameters_digest(scorer: Reranker) -> str:
    """Return a digest of parameters, with the content of files and folders that they name."""
    params = scorer.params
    names = [field.name for field in dataclasses.fields(params)]
    paths = [getattr(params, name) for name in names]
    contents = [content_digest(Path(path)) for path in paths if isinstance(path, str | Path)]
    return fingerprint([scorer.fingerprint(), contents])


def content_digest(path: Path) -> str | None:
    """Return a digest of a file, or of all files of a folder; None for what is neither."""
    try:
        if path.is_file():
            return _digest([path])
        if path.is_dir():
            return _digest(sorted(each for each in path.rglob("*") if each.is_file()))
    except (OSError, ValueError):  # a parameter such as a prompt may be too long for a path
        return None
    return None


def source_digest(kind: type) -> str | None:
    """Return a digest of the source of the package that a class lies in."""
    top = kind.__module__.partition(".")[0]
    if top != "__main__":
        digest = _package_digest(top)
        if digest is not None:
            return digest
    try:
        with PARSING:
            return fingerprint(inspect.getsource(kind))
    except (OSError, TypeError):
        return None


@lru_cache
def _package_digest(top: str) -> str | None:
    file = getattr(loaded(top), "__file__", None)
    if file is None:
        return None
    path = Path(file)
    if path.name != "__init__.py":
        return _digest([path])
    sources = sorted(path.parent.rglob("*.py"))
    return _digest(sources) if len(sources) <= MOST_FILES else None


def _digest(files: list[Path]) -> str | None:
    whole = hashlib.blake2b(digest_size=16)
    for file in files:
        whole.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                whole.update(chunk)
    return whole.hexdigest()
