"""Our plugin manager finds the hooks that pluggy's own does, and asks fewer names for them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pluggy
import pytest

from crossrank.plugin import hookimpl, hookspecs
from crossrank.plugin._manager import Manager


class Maker:
    @hookimpl
    def crossrank_reranker(self) -> str:
        return "of a method"


def reranker() -> str:
    return "of a function"


def module(value: Any, name: str = "crossrank_reranker") -> ModuleType:
    made = ModuleType("made")
    vars(made).update({name: value, "other": reranker, "number": 7, "Maker": Maker})
    return made


PLUGINS = {
    "a function": module(hookimpl(reranker)),
    "a static method": module(hookimpl(staticmethod(reranker))),
    "a bound method": module(Maker().crossrank_reranker),
    "another name": module(hookimpl(specname="crossrank_reranker")(lambda: "renamed"), "mine"),
    "an object": Maker(),
    "no hook": module(lambda: "unmarked"),
    "no function": module(7),
}


def found(manager: pluggy.PluginManager, plugin: Any) -> Any:
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    return sorted(vars(manager.hook)), manager.hook.crossrank_reranker()


@pytest.mark.parametrize("plugin", PLUGINS.values(), ids=PLUGINS)
def test_hooks_are_those_that_pluggy_finds(plugin: Any) -> None:
    plain = pluggy.PluginManager("crossrank")
    assert found(Manager("crossrank"), plugin) == found(plain, plugin)


def test_only_functions_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = pluggy.PluginManager.parse_hookimpl_opts

    def counted(self: Any, plugin: Any, name: str) -> Any:
        asked.append(name)
        return plain(self, plugin, name)

    monkeypatch.setattr(pluggy.PluginManager, "parse_hookimpl_opts", counted)
    Manager("crossrank").register(PLUGINS["a function"])
    assert asked == ["crossrank_reranker", "other"]
