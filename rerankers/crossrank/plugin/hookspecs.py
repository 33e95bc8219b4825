"""The hooks by which a distribution brings plugins: the whole registration contract.

An entry point in one of the groups ``crossrank.rerankers``, ``crossrank.encoders`` and
``crossrank.commands`` names a module that implements the hook of that group.  The *entry point's*
name is the plugin's name, so listing plugins imports nothing; the module is imported when its
plugin is first used::

    # pyproject.toml
    [project.entry-points."crossrank.rerankers"]
    overlap = "my_package.plugin"

    # my_package/plugin.py
    import crossrank as cr

    @cr.hookimpl
    def crossrank_reranker():
        from my_package.overlap import OverlapReranker
        return OverlapReranker
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


__all__ = [
    "crossrank_commands",
    "crossrank_encoder",
    "crossrank_reranker",
    "hookimpl",
    "hookspec",
]
