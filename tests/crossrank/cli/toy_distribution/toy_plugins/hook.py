"""A command module whose hook raises."""

import click

import crossrank as cr


@cr.hookimpl
def crossrank_commands(group: click.Group) -> None:
    raise KeyError("settings")
