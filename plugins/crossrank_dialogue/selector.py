"""Which of a model's questions is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossrank.plugin.parameters import check, integer, text
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.models import Model
from crossrank_dialogue.prompts import prompt
from crossrank_dialogue.questioners import Question, was_asked
from crossrank_dialogue.replies import is_uncertain
from crossrank_dialogue.selection import Floats, select_question
from crossrank_dialogue.view import View


@dataclass(frozen=True, slots=True)
class QuestionSelector:
    """PlugIR's choice: what is not known yet, and leads the query least astray.

    Parameters
    ----------
    skip
        How many of the best candidates the divergence leaves out: the paper's equation none, its
        code ten; never all of them.
    tries
        How often the model is asked for other questions when all of them are answered already.
    fallback
        What is asked then.

    References
    ----------
    Lee et al., PlugIR, ACL 2024, algorithm 2.
    """

    skip: int = 0
    tries: int = 3
    fallback: str = "What else can be seen in the picture?"

    def __post_init__(self) -> None:
        check("QuestionSelector", self, skip=integer(0), tries=integer(1), fallback=text)

    def __call__(
        self,
        model: Model,
        dialogue: Dialogue,
        view: View,
        propose: Callable[[Sequence[str]], Sequence[str]],
    ) -> Question:
        """Return the question to ask.

        Parameters
        ----------
        model
            Says whether a question is answered already.
        dialogue, view
            What is known, and the candidates.
        propose
            Questions that were refused so far in, new ones out.

        Raises
        ------
        PluginError
            If the model fails.
        """
        refused: list[str] = []
        for _ in range(self.tries):
            proposed = [each for each in propose(tuple(refused)) if each not in refused]
            still_open = self.unanswered(model, dialogue, proposed)
            refused += [each for each in proposed if each not in still_open]
            if still_open and len(view):
                chosen, found = self.select(view, still_open)
                why = (
                    f"least divergence of {len(still_open)} open questions: {found[chosen]:.3g} "
                    f"nats (others {', '.join(f'{v:.3g}' for v in sorted(found)[1:]) or 'none'})"
                )
                return Question(still_open[chosen], why)
        return Question(
            self.fallback,
            f"what is known answers all {len(refused)} questions of {self.tries} tries",
        )

    def unanswered(self, model: Model, dialogue: Dialogue, questions: Sequence[str]) -> list[str]:
        """Return the questions that what is known does not answer, by the model's "uncertain"."""
        return [
            question
            for question in questions
            if not was_asked(dialogue, question)
            and is_uncertain(model(prompt("answerable", dialogue, question=question)))
        ]

    def select(self, view: View, questions: Sequence[str]) -> tuple[int, Floats]:
        """Return the place of the question that changes the scores least, and all divergences."""
        texts = [view.query, *(f"{view.query}, {question}" for question in questions)]
        scores = view.similarity(texts)
        return select_question(scores[0], scores[1:], min(self.skip, len(view) - 1))
