"""The reformulator that asks a language model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from crossrank.errors import InputError, PluginError
from crossrank.plugin.parameters import checked, integer
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.models import Message, Model, as_model
from crossrank_dialogue.prompts import prompt
from crossrank_dialogue.reformulators import Reformulator, Rules
from crossrank_dialogue.replies import caption_of
from crossrank_dialogue.statements import is_unknown

logger = logging.getLogger(__name__)

RULES = Rules()
REMEMBERED = 10_000
"""Rewrites that are kept in memory."""


@dataclass(frozen=True, slots=True)
class _Rewrite:
    text: str
    note: str = ""


class Llm(Reformulator):
    """Has a language model rewrite caption and dialogue as one caption.

    Where the model returns the caption of the round before, it is asked once for a paraphrase.  A
    round whose answer is unknown asks nothing and changes nothing.

    Parameters
    ----------
    model
        A callable ``messages → str`` or the address of an OpenAI-compatible server; wrapped in
        `CachedModel` unless it is one.
    fallback
        Who rewrites a round for which the model fails; None to raise instead.
    words
        What is taken of a longer reply: matchers read captions, not essays.

    Raises
    ------
    ParameterError
        If `words` is below 1.

    References
    ----------
    Lee et al., PlugIR, ACL 2024, section 3.1.  The prompts are ours and lie in ``prompts``.
    """

    def __init__(
        self, model: Model | str, *, fallback: Reformulator | None = RULES, words: int = 60
    ) -> None:
        if fallback is not None and not isinstance(fallback, Reformulator):
            raise InputError(f"Llm: fallback is {fallback!r:.80}; give a Reformulator, or None")
        self.model = as_model(model)
        self.fallback = fallback
        self.words = checked("Llm", "words", words, integer(1))
        self._made: dict[Dialogue, _Rewrite] = {}

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return the model's caption for caption and dialogue.

        Raises
        ------
        PluginError
            If the model fails and there is no fallback.
        """
        return self._rewritten(dialogue).text

    def note(self, dialogue: Dialogue) -> str:
        """Return why the model did not rewrite a round; empty where it did."""
        return self._rewritten(dialogue).note

    def _rewritten(self, dialogue: Dialogue) -> _Rewrite:
        """Go through the rounds, since each one is compared with the one before."""
        last = _Rewrite(dialogue.caption)
        for rounds in range(1, dialogue.rounds + 1):
            talk = dialogue.until(rounds)
            if talk not in self._made:
                while len(self._made) >= REMEMBERED:
                    del self._made[next(iter(self._made))]
                self._made[talk] = self._round(talk, last.text)
            last = self._made[talk]
        return last

    def _round(self, dialogue: Dialogue, before: str) -> _Rewrite:
        if is_unknown(dialogue.turns[-1].answer):
            return _Rewrite(before)
        try:
            text = self._asked(prompt("reformulate", dialogue))
        except PluginError as error:
            if self.fallback is None:
                raise
            # kept like a success: in every later round a slow model would be waited for again
            logger.warning("round %d is rewritten without the model: %s", dialogue.rounds, error)
            return _Rewrite(self.fallback.rewrite(dialogue), str(error))
        if text.casefold() != before.casefold():
            return _Rewrite(text)
        try:
            return _Rewrite(self._asked(prompt("paraphrase", dialogue, before=before)))
        except PluginError as error:
            return _Rewrite(text, f"no paraphrase: {error}")

    def _asked(self, messages: Sequence[Message]) -> str:
        text = caption_of(self.model(messages), self.words)
        if not text:
            raise PluginError("the language model answered with nothing that says something")
        return text
