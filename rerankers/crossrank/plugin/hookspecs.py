"""The hooks by which a distribution brings plugins: the whole registration contract.

An entry point in one of the groups ``crossrank.rerankers``, ``crossrank.encoders`` and
``crossrank.commands`` names a module that implements the hook of that group.  The *entry point's*
name is the plugin's name, so listing plugins imports nothing; the module is imported when its
plugin is first used::

    # pyproject.toml
    [project.entry-points."crossrank.rerankers"]
    overlap = "my_package.plugin"

    # my_package/plugin.py
    from crossrank.plugin.hookspecs import gives

    crossrank_reranker = gives("my_package.overlap:OverlapReranker")
"""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from crossrank.plugin.contract import Encoder, Reranker

hookspec = pluggy.HookspecMarker("crossrank")
hookimpl = pluggy.HookimplMarker("crossrank")


@hookspec(firstresult=True)
def crossrank_reranker() -> type[Reranker] | None:
    """Return the `Reranker` subclass of the entry point's name."""


@hookspec(firstresult=True)
def crossrank_encoder() -> type[Encoder] | None:
    """Return the `Encoder` subclass of the entry point's name."""


@hookspec
def crossrank_commands(group: click.Group) -> None:
    """Add a command of the entry point's name to the ``crossrank`` command line."""


def gives(plugin: str) -> Callable[[], Any]:
    """Return the hook of a reranker or an encoder, which imports the class when it is asked for it.

    Parameters
    ----------
    plugin
        Where the class is, as in an entry point: ``"my_package.overlap:OverlapReranker"``.
    """
    return hookimpl(lambda: resolve_name(plugin))


def adds(command: click.Command) -> Callable[[click.Group], None]:
    """Return the hook ``crossrank_commands`` that adds one command."""

    @hookimpl
    def hook(group: click.Group) -> None:
        group.add_command(command)

    return hook


__all__ = [
    "adds",
    "crossrank_commands",
    "crossrank_encoder",
    "crossrank_reranker",
    "gives",
    "hookimpl",
    "hookspec",
]
