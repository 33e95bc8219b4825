"""The conversation in a terminal, line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from io import TextIOWrapper
from pathlib import Path

import click

from crossrank.cli.kit import shown, table
from crossrank.errors import CrossrankError, nearest
from crossrank_dialogue.chat import Chat

HELP = """an answer            as short as you like; an empty line means that you do not know
/another             another question
/undo                take back the last answer
/why                 why this is asked, and what is searched for
/show [N]            the first N pictures
/trace               every round so far
/save FILE           write the conversation
/quit                leave (Ctrl-D too)"""


class Terminal:
    """Reads lines and prints lists until somebody leaves.

    Parameters
    ----------
    chat
        The conversation.
    top
        How many pictures are shown after an answer.
    save
        Where the conversation is written after every answer.
    """

    def __init__(self, chat: Chat, *, top: int = 5, save: Path | None = None) -> None:
        self.chat = chat
        self.top = top
        self.save = save
        self.commands: Mapping[str, Callable[[str], None]] = {
            "/another": self._another,
            "/undo": self._undo,
            "/why": self._why,
            "/show": self._show,
            "/trace": self._trace,
            "/save": self._save,
            "/help": lambda rest: click.echo(HELP),
        }

    def run(self) -> None:
        """Talk until /quit or the end of the input."""
        stages = "search alone" if self.chat.pipeline is None else repr(self.chat.pipeline)
        if isinstance(sys.stdin, TextIOWrapper):
            # a byte that is no UTF-8 is no reason to end a conversation
            sys.stdin.reconfigure(errors="replace")
        click.echo(f"{len(self.chat.gallery)} pictures, {stages}; /help for help")
        if self.chat.trace:
            for each in self.chat.trace:
                click.echo(f"{shown(each.question.text)}\n> {shown(each.answer)}")
            self._print(self.top)
        going = True
        while going:
            line = self._read()
            going = line is not None and self._taken(line.strip())

    def _read(self) -> str | None:
        """Ask, and return the line that was typed; None at the end of the input."""
        asked = self.chat.ask()
        choices = () if self.chat.question is None else self.chat.question.choices
        offered = f"  [{', '.join(choices)}]" if choices else ""
        click.echo(f"\n{shown(asked + offered)}\n> ", nl=False)
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            line = ""
        if not line:
            click.echo()
            return None
        return line

    def _taken(self, line: str) -> bool:
        """Do what a line says; return whether to go on."""
        try:
            word, _, rest = line.partition(" ")
            if word == "/quit":
                return False
            if word in self.commands:
                self.commands[word](rest.strip())
                return True
            if word.startswith("/"):
                known = [*self.commands, "/quit"]
                click.echo(f"no command is called {word!r}{nearest(word, known)}")
                return True
            if not line and not self.chat.trace:
                return True
            before = self.chat.ranking.ids if self.chat.trace else ()
            ranking = self.chat.answer(line if line else "unknown")
            note = self.chat.trace[-1].note
            if note:
                click.echo(f"(rewritten without the model: {shown(note)})")
            if ranking.ids == before:
                click.echo("That leaves the list as it is.")
            else:
                self._print(self.top)
            self._keep()
        except CrossrankError as error:
            click.echo(shown(str(error)))
        return True

    def _print(self, count: int) -> None:
        rows = [
            [str(hit.rank), shown(hit.id), f"{hit.score:.3f}", str(hit.base_rank)]
            for hit in self.chat.ranking[:count]
        ]
        click.echo(table(["", "picture", "score", "by search"], rows, right=(0, 2, 3)))

    def _keep(self) -> None:
        if self.save is not None:
            self.chat.save(self.save)

    def _another(self, rest: str) -> None:
        self.chat.another()

    def _undo(self, rest: str) -> None:
        self.chat.undo()
        if self.chat.trace:
            self._print(self.top)
        self._keep()

    def _why(self, rest: str) -> None:
        why = "" if self.chat.question is None else self.chat.question.why
        click.echo(shown(f"asked because: {why}" if why else "it is a question to begin with"))
        if self.chat.trace:
            for part in self.chat.trace[-1].parts:
                click.echo(shown(f"searched for ({part.weight:g}): {part.text}"))

    def _show(self, rest: str) -> None:
        count = int(rest) if rest.isdecimal() and rest.isascii() and int(rest) else self.top
        self._print(count)

    def _trace(self, rest: str) -> None:
        for number, each in enumerate(self.chat.trace):
            click.echo(shown(f"{number}  {each.question.text} {each.answer}"))
            click.echo(shown(f"   searched for: {each.text}"))
            click.echo(shown(f"   found: {', '.join(each.best[:3])}"))

    def _save(self, rest: str) -> None:
        if not rest:
            click.echo("say where to: /save FILE")
            return
        self.chat.save(Path(rest))
        click.echo(f"saved; go on with it by --resume {shown(rest)}")
