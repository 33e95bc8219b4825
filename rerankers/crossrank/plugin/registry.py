"""The plugin host: names without imports, loading on first use, inside a guard."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, TypeAlias

from crossrank.errors import CrossrankError, PluginError, UnknownPluginError, nearest
from crossrank.plugin import hookspecs
from crossrank.plugin._entry_points import guarded, only, points
from crossrank.plugin._entry_points import origin as origin_of
from crossrank.plugin._manager import Manager
from crossrank.plugin._module_summary import module_summary
from crossrank.plugin.contract import Encoder, Reranker

GROUPS = {
    "reranker": "crossrank.rerankers",
    "encoder": "crossrank.encoders",
    "command": "crossrank.commands",
}
BASES: dict[str, type] = {"reranker": Reranker, "encoder": Encoder}

Plugin: TypeAlias = type[Reranker] | type[Encoder]

_loaded: dict[tuple[str, str], Any] = {}
_registered: dict[tuple[str, str], Plugin] = {}
_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class PluginRecord:
    """One line of ``crossrank plugins``.

    Parameters
    ----------
    kind, name
        What it is and what it is called.
    distribution
        Who brings it, with its version; ``"(run time)"`` for `register`.
    summary
        What it says of itself; empty if it could not be loaded.
    paper
        Where its method comes from.
    error
        Why it could not be loaded; empty if it could.
    """

    kind: str
    name: str
    distribution: str
    summary: str = ""
    paper: str = ""
    error: str = ""


def names(kind: str) -> list[str]:
    """Return the names of all plugins of a kind, without importing any."""
    installed = {point.name for point in _points(kind)}
    return sorted(installed | {name for each, name in _registered if each == kind})


def register(plugin: Any) -> Any:
    """Make a reranker or an encoder known by its ``info.name`` until the process ends.

    Parameters
    ----------
    plugin
        A `Reranker` or `Encoder` subclass; may be used as a decorator.

    Returns
    -------
    type
        The same class.

    Raises
    ------
    PluginError
        If it is no such class, is not complete, or the name is taken by another one.
    """
    kind = next((kind for kind in BASES if _is_subclass(plugin, BASES[kind])), None)
    if kind is None:
        raise PluginError(f"register: {plugin!r} is neither a Reranker nor an Encoder class")
    _check_class(kind, None, plugin, f"register({plugin.__name__})")
    name = plugin.info.name
    with _lock:
        before = _registered.get((kind, name))
        same = before is not None and _qualified(before) == _qualified(plugin)
        installed = any(point.name == name for point in _points(kind))
        if installed and _load(kind, name) is plugin:
            return plugin
        if (installed or before is not None) and not same:
            raise PluginError(f"register: there is another {kind} called {name!r}; rename one")
        _registered[kind, name] = plugin
    return plugin


def load_reranker(name: str) -> type[Reranker]:
    """Return the reranker class of a name, importing its module on first use.

    Raises
    ------
    UnknownPluginError
        If there is none, with the nearest names.
    PluginError
        If it cannot be loaded, or two distributions claim the name.
    """
    reranker: type[Reranker] = _load("reranker", name)
    return reranker


def load_encoder(name: str) -> type[Encoder]:
    """Return the encoder class of a name; see `load_reranker`."""
    encoder: type[Encoder] = _load("encoder", name)
    return encoder


def load_commands(name: str, group: Any) -> None:
    """Let the distribution of a command add it to a click group; see `load_reranker`."""
    hooks = _hooks("command", name)
    where = f"the command {name!r} of {origin('command', name)}"
    guarded(where, lambda: hooks.crossrank_commands(group=group))


def command_summary(name: str) -> str:
    """Return one line about a command, and who brings it where that is not us; imports nothing."""
    said = _docstring(name)
    whose = origin("command", name)
    if said and whose.startswith("crossrank "):
        return said
    return f"{said} (from {whose})".strip()


def origin(kind: str, name: str) -> str:
    """Return the distributions, with versions, that bring a plugin; imports nothing."""
    origins = {origin_of(point) for point in _points(kind) if point.name == name}
    return ", ".join(sorted(origins)) or "(run time)"


def records() -> list[PluginRecord]:
    """Load every plugin inside the guard and tell what became of it."""
    return [
        _record(kind, name) for kind in ("reranker", "encoder", "command") for name in names(kind)
    ]


def providers(feature: str, modality: str) -> list[str]:
    """Return the names of the encoders that give a feature, skipping those that do not load."""
    encoders = []
    for name in names("encoder"):
        try:
            info = load_encoder(name).info
        except CrossrankError:
            continue
        if feature in info.features.get(modality, ()):
            encoders.append(name)
    return encoders


def _record(kind: str, name: str) -> PluginRecord:
    whose = origin(kind, name)
    try:
        if kind == "command":
            _hooks(kind, name)
            return PluginRecord(kind, name, whose, _docstring(name))
        info = _load(kind, name).info
    except CrossrankError as error:
        return PluginRecord(kind, name, whose, error=str(error))
    return PluginRecord(kind, name, whose, info.summary, info.paper)


def _docstring(command: str) -> str:
    modules = [point.module for point in _points("command") if point.name == command]
    return module_summary(modules[0]) if modules else ""


def _load(kind: str, name: str) -> Any:
    with _lock:
        if (kind, name) in _registered:
            return _registered[kind, name]
        if (kind, name) not in _loaded:
            hooks = _hooks(kind, name)
            where = f"the {kind} {name!r}"
            plugin = guarded(where, getattr(hooks, f"crossrank_{kind}"))
            _check_class(kind, name, plugin, where)
            _loaded[kind, name] = plugin
        return _loaded[kind, name]


def _hooks(kind: str, name: str) -> Any:
    """Import the one module behind a name and return its hooks."""
    declared = [point for point in _points(kind) if point.name == name]
    if not declared:
        known = names(kind)
        raise UnknownPluginError(f"no {kind} is called {name!r:.80}{nearest(name, known)}")
    point = only(kind, name, declared)
    manager = Manager("crossrank")
    manager.add_hookspecs(hookspecs)
    where = f"the {kind} {name!r} of {origin_of(point)}"
    module = guarded(where, point.load)
    guarded(where, lambda: manager.register(module, name=name))
    hook = "crossrank_commands" if kind == "command" else f"crossrank_{kind}"
    if not getattr(manager.hook, hook).get_hookimpls():
        raise PluginError(f"{where}: {point.value} does not implement the hook {hook}()")
    return manager.hook


def _check_class(kind: str, name: str | None, plugin: Any, where: str) -> None:
    base = BASES[kind]
    if not _is_subclass(plugin, base):
        raise PluginError(f"{where}: {plugin!r} is not a subclass of crossrank.{base.__name__}")
    info: Any = getattr(plugin, "info", None)
    if type(info).__name__ != f"{base.__name__}Info":
        raise PluginError(f"{where}: {plugin.__name__}.info must be a {base.__name__}Info")
    if name is not None and info.name != name:
        raise PluginError(
            f"{where}: its info.name is {info.name!r}; it must be the entry point's name"
        )
    missing = sorted(getattr(plugin, "__abstractmethods__", ()))
    if missing:
        raise PluginError(f"{where}: {plugin.__name__} does not define {', '.join(missing)}")


def _is_subclass(plugin: Any, base: type) -> bool:
    return isinstance(plugin, type) and issubclass(plugin, base)


def _qualified(plugin: type) -> tuple[str, str]:
    return plugin.__module__, plugin.__qualname__


def _points(kind: str) -> list[EntryPoint]:
    return points(GROUPS[kind])


__all__ = [
    "PluginRecord",
    "command_summary",
    "load_commands",
    "load_encoder",
    "load_reranker",
    "names",
    "origin",
    "providers",
    "records",
    "register",
]
