"""Build, whiten, refine, show and merge banks of what words look like."""

from __future__ import annotations

import click

from crossrank import hookimpl


@hookimpl
def crossrank_commands(group: click.Group) -> None:
    """Add the command ``knowledge``."""
    from crossrank_knowledge.commands import knowledge

    group.add_command(knowledge)
