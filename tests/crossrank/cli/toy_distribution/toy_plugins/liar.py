"""A command module that adds a command of another name."""

import click

import crossrank as cr


@cr.hookimpl
def crossrank_commands(group: click.Group) -> None:
    group.add_command(click.Command("something-else"))
