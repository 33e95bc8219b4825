"""The questioner that asks a language model what to ask."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from crossrank.errors import PluginError
from crossrank.plugin.parameters import checked, integer
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.models import Model, as_model
from crossrank_dialogue.prompts import prompt
from crossrank_dialogue.questioners import Question, Questioner
from crossrank_dialogue.replies import questions_of
from crossrank_dialogue.selector import QuestionSelector
from crossrank_dialogue.summary import CandidateSummary
from crossrank_dialogue.view import View

logger = logging.getLogger(__name__)


class LlmQuestioner(Questioner):
    """Shows a model the captions that stand for the candidates, and asks one of its questions.

    Parameters
    ----------
    model
        A callable ``messages → str`` or the address of an OpenAI-compatible server.
    summary
        Algorithm 1: what the model is shown.
    selector
        Algorithm 2: which of its questions is asked.
    questions
        How many it proposes at a time.
    fallback
        Who asks when the model fails; None to raise instead.

    References
    ----------
    Lee et al., PlugIR, ACL 2024, section 3.2.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        summary: CandidateSummary | None = None,
        selector: QuestionSelector | None = None,
        questions: int = 5,
        fallback: Questioner | None = None,
    ) -> None:
        self.model = as_model(model)
        self.summary = CandidateSummary() if summary is None else summary
        self.selector = QuestionSelector() if selector is None else selector
        self.questions = checked("LlmQuestioner", "questions", questions, integer(1))
        self.fallback = fallback
        self.depth = self.summary.candidates

    def ask(self, dialogue: Dialogue, view: View) -> Question | None:
        """Return the question that the selector chose.

        Raises
        ------
        PluginError
            If the model fails and there is no fallback.
        """
        try:
            shown = self.summary(view, dialogue.rounds)

            def propose(refused: Sequence[str]) -> Sequence[str]:
                return self.proposed(dialogue, shown, refused)

            looked_at = view.first(self.summary.depth(dialogue.rounds))
            return self.selector(self.model, dialogue, looked_at, propose)
        except PluginError as error:
            if self.fallback is None:
                raise
            logger.warning("asking without the model: %s", error)
            asked = self.fallback.ask(dialogue, view)
            if asked is None:
                return None
            return Question(asked.text, f"{asked.why} (without the model: {error})", asked.choices)

    def proposed(
        self, dialogue: Dialogue, shown: Sequence[str], refused: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the model's questions.

        Parameters
        ----------
        dialogue
            What is known.
        shown
            The captions that stand for the candidates.
        refused
            Questions that it is told not to ask.
        """
        messages = prompt(
            "questions",
            dialogue,
            candidates="\n".join(f"- {caption}" for caption in shown),
            refused="\n".join(f"Do not ask: {question}" for question in refused),
            count=str(self.questions),
        )
        return questions_of(self.model(messages), self.questions)
