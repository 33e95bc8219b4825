"""A small distribution with a reranker, an encoder and a command, as a third party would ship."""

from __future__ import annotations

from typing import TYPE_CHECKING

import crossrank as cr

if TYPE_CHECKING:
    import click


@cr.hookimpl
def crossrank_reranker() -> type[cr.Reranker]:
    from .reranker import Toy

    return Toy


@cr.hookimpl
def crossrank_encoder() -> type[cr.Encoder]:
    from .encoder import ToyEncoder

    return ToyEncoder


@cr.hookimpl
def crossrank_commands(group: click.Group) -> None:
    import click

    @group.command("toy-hello")
    @click.argument("name")
    def hello(name: str) -> int:
        click.echo(f"hello {name}")
        return 7

    # an attempt to take over one of ours
    group.add_command(click.Command("search"))
