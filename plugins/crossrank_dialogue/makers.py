"""What `Chat` takes in the place of objects: names, callables, stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import crossrank as cr
from crossrank.errors import InputError, ParameterError, nearest
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.drop_questioner import DropQuestioner
from crossrank_dialogue.questioners import AskedBy, Asker, Questioner
from crossrank_dialogue.reformulators import Answers, Concat, Fuse, Reformulator, Rules

REFORMULATORS: dict[str, Callable[[], Reformulator]] = {
    "answers": Answers,
    "concat": Concat,
    "fuse": Fuse,
    "rules": Rules,
}
"""Those that need nothing but a name."""


class RewrittenBy(Reformulator):
    """Any callable from a dialogue to a text."""

    def __init__(self, rewriter: Callable[[Dialogue], str]) -> None:
        self.rewriter = rewriter

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return what the callable makes of it."""
        text = self.rewriter(dialogue)
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"Chat: the reformulator returned {text!r:.60}; return a text")
        return text


def as_pipeline(
    pipeline: cr.Pipeline | cr.Stage | Sequence[cr.Stage | str] | str | None,
) -> cr.Pipeline | None:
    """Return a pipeline, or None for none."""
    if pipeline is None or isinstance(pipeline, cr.Pipeline):
        return pipeline
    return cr.Pipeline(pipeline)


def as_reformulator(
    reformulator: Reformulator | Callable[[Dialogue], str] | str,
) -> Reformulator:
    """Return a reformulator for one, its name, or a callable.

    Raises
    ------
    ParameterError
        For a name that nobody has.
    InputError
        For something else.
    """
    if isinstance(reformulator, Reformulator):
        return reformulator
    if isinstance(reformulator, str):
        if reformulator not in REFORMULATORS:
            raise ParameterError(
                f"Chat: no reformulator is called {reformulator!r}"
                f"{nearest(reformulator, REFORMULATORS)}"
            )
        return REFORMULATORS[reformulator]()
    rewriter = getattr(reformulator, "rewrite", reformulator)
    if callable(rewriter) and not isinstance(reformulator, type):
        return RewrittenBy(rewriter)
    raise InputError(
        f"Chat: the reformulator is {reformulator!r:.80}; give a Reformulator, a callable from a "
        "Dialogue to a text, or a name"
    )


def as_questioner(questioner: Questioner | Asker | str | None) -> Questioner | None:
    """Return a questioner for one, ``"drop"``, or a callable; None for nobody."""
    if questioner is None or isinstance(questioner, Questioner):
        return questioner
    if questioner == "drop":
        return DropQuestioner()
    asker = getattr(questioner, "ask", questioner)
    if callable(asker) and not isinstance(questioner, type):
        return AskedBy(asker)
    raise InputError(
        f"Chat: the questioner is {questioner!r}; give a Questioner, a callable (dialogue, view) → "
        "question, 'drop', or None"
    )
