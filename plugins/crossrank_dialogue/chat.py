"""A conversation: the system asks, somebody answers, and the gallery is ranked again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import CrossrankError, InputError
from crossrank.plugin.parameters import checked, integer
from crossrank_dialogue.dialogue import Dialogue, Turn
from crossrank_dialogue.makers import as_pipeline, as_questioner, as_reformulator
from crossrank_dialogue.queries import EncodedTexts, encoder_of
from crossrank_dialogue.questioners import Asker, Question, Questioner
from crossrank_dialogue.ranker import PartRanker
from crossrank_dialogue.reformulators import Part, Reformulator
from crossrank_dialogue.rounds import SHOWN, Round
from crossrank_dialogue.saving import described, read_chat, write_chat
from crossrank_dialogue.view import View

logger = logging.getLogger(__name__)

FIRST = Question("What are you looking for?")
MORE = Question("What else can you say about the picture?", "no question would tell more")


class Chat:
    """A search by talking.

    Parameters
    ----------
    pipeline
        What reranks: a `Pipeline`, a stage or its name, or None for the search alone.
    gallery
        A collection with ``embedding`` and what the pipeline reads, or its folder.
    reformulator
        Makes queries of dialogues: a `Reformulator`, a callable from a `Dialogue` to a text, or one
        of ``"fuse"`` (the default), ``"rules"``, ``"answers"``, ``"concat"``.
    questioner
        Asks: a `Questioner`, a callable ``(dialogue, view) → question``, or None for nobody, and
        then the user tells what comes to mind.  `DropQuestioner` by default.
    encoder
        Of texts; by default what made the gallery.
    depth
        Candidates that are reranked.
    target
        The id of the picture that is looked for, for experiments: the trace has its ranks.

    Raises
    ------
    InputError
        For a gallery without items, or something that is none of these.
    UnknownIdError
        For a target that is not in the gallery.
    FeatureMismatchError
        For a gallery that another version of its encoder made.

    Examples
    --------
    >>> chat = Chat("filip", "gallery")  # doctest: +SKIP
    >>> chat.ask(), chat.answer("a dog runs")[0].id  # doctest: +SKIP
    ('What are you looking for?', 'photos/12.jpg')
    >>> chat.ask(), chat.answer("yes")[0].id  # doctest: +SKIP
    ('Is there a ball in the picture?', 'photos/7.jpg')
    """

    def __init__(
        self,
        pipeline: cr.Pipeline | cr.Stage | Sequence[cr.Stage | str] | str | None,
        gallery: cr.Collection | str | Path,
        reformulator: Reformulator | Callable[[Dialogue], str] | str = "fuse",
        questioner: Questioner | Asker | str | None = "drop",
        *,
        encoder: str | cr.Encoder | None = None,
        depth: int = 100,
        target: str | None = None,
    ) -> None:
        self.gallery = (
            gallery if isinstance(gallery, cr.Collection) else cr.Collection.open(gallery)
        )
        if len(self.gallery) == 0:
            raise InputError("Chat: the gallery is empty; there is nothing to look for")
        self.pipeline = as_pipeline(pipeline)
        self.reformulator = as_reformulator(reformulator)
        self.questioner = as_questioner(questioner)
        self.depth = checked("Chat", "depth", depth, integer(1))
        self.target = target
        self._target_row = None if target is None else self.gallery.row(target)
        self._texts = EncodedTexts(encoder_of(self.gallery, encoder))
        self._ranker = PartRanker(self.pipeline, self.gallery, self._texts, self.depth)
        self._rankings: dict[tuple[Part, ...], cr.Ranking] = {}
        self._rounds: tuple[Round, ...] = ()
        self._pending: Question | None = None
        self._passed: tuple[str, ...] = ()

    @property
    def dialogue(self) -> Dialogue | None:
        """What was said so far; None before the first answer."""
        if not self._rounds:
            return None
        first, *others = self._rounds
        turns = tuple(Turn(each.question.text, each.answer) for each in others)
        return Dialogue(first.answer, turns, "" if self.target is None else self.target)

    @property
    def rounds(self) -> int:
        """How many questions were answered after the first."""
        return max(0, len(self._rounds) - 1)

    @property
    def trace(self) -> tuple[Round, ...]:
        """Every round: what was asked and why, the answer, the query, and what it found."""
        return self._rounds

    @property
    def question(self) -> Question | None:
        """The question that waits for an answer, with why it is asked."""
        return self._pending

    @property
    def ranking(self) -> cr.Ranking:
        """The candidates as they stand, best first.

        Raises
        ------
        InputError
            If nothing was looked for yet.
        """
        if not self._rounds:
            raise InputError("Chat: nothing was looked for yet; answer what you are looking for")
        return self._ranked(self._rounds[-1].parts)

    def ranking_of(self, round: int) -> cr.Ranking:
        """Return the candidates as they stood after a round of the trace.

        Raises
        ------
        InputError
            If there was no such round.
        """
        if not 0 <= round < len(self._rounds):
            raise InputError(f"Chat: there is no round {round}; there are {len(self._rounds)}")
        return self._ranked(self._rounds[round].parts)

    def ask(self) -> str:
        """Return the question that should be answered next; the same until it is.

        Where the questioner fails, it is what else there is to say.
        """
        if self._pending is None:
            self._pending = self._next()
        return self._pending.text

    def another(self) -> str:
        """Return another question in place of the one that waits."""
        if self._pending is not None and self._rounds:
            self._passed = (*self._passed, self._pending.text)
            self._pending = None
        return self.ask()

    def answer(self, text: str) -> cr.Ranking:
        """Take an answer, and return the candidates ranked again.

        The first one says what is looked for.  "unknown" and its like change nothing.  Without a
        question that waits, the text is something that the user tells.

        Raises
        ------
        InputError
            If there are no words in it.
        """
        if not self._rounds:
            asked, talk = FIRST, Dialogue(text, (), "" if self.target is None else self.target)
        else:
            asked = MORE if self._pending is None else self._pending
            before = self.dialogue
            assert before is not None
            talk = before.answered(asked.text, text)
        parts = self.reformulator.parts(talk)
        ranking = self._ranked(parts)
        made = Round(
            asked,
            text,
            parts,
            self.reformulator.rewrite(talk),
            self.reformulator.note(talk),
            ranking.ids[:SHOWN],
            self._rank(parts, ranking),
        )
        self._rounds, self._pending = (*self._rounds, made), None
        return ranking

    def undo(self) -> str:
        """Take back the last answer; its question waits again and is returned.

        Raises
        ------
        InputError
            If nothing was answered.
        """
        if not self._rounds:
            raise InputError("Chat: nothing was answered yet, so there is nothing to take back")
        self._pending = self._rounds[-1].question
        self._rounds = self._rounds[:-1]
        return self._pending.text

    def restart(self) -> str:
        """Forget everything that was said, and return the first question."""
        self._rounds, self._passed, self._pending = (), (), FIRST
        return FIRST.text

    def to_json(self) -> dict[str, Any]:
        """Return the conversation as `save` writes it."""
        return described(self, self._rounds, self._pending, self._passed)

    def save(self, path: str | Path) -> None:
        """Write the conversation to a file, which appears, or is replaced, when it is complete."""
        write_chat(Path(path), self.to_json())

    @classmethod
    def resume(
        cls,
        path: str | Path,
        pipeline: cr.Pipeline | cr.Stage | Sequence[cr.Stage | str] | str | None,
        gallery: cr.Collection | str | Path,
        reformulator: Reformulator | Callable[[Dialogue], str] | str = "fuse",
        questioner: Questioner | Asker | str | None = "drop",
        *,
        encoder: str | cr.Encoder | None = None,
        changed: str = "raise",
    ) -> Chat:
        """Go on with a conversation that was saved; no model is asked again for what it has.

        Parameters
        ----------
        path
            What `save` wrote.
        pipeline, gallery, reformulator, questioner, encoder
            As for `Chat`.
        changed
            What to do where the gallery is not what it was: ``"raise"``, or ``"rank"`` to rank what
            there is now.

        Raises
        ------
        FormatError
            If the file cannot be read.
        InputError
            If the gallery changed.
        """
        saved = read_chat(Path(path))
        chat = cls(
            pipeline,
            gallery,
            reformulator,
            questioner,
            encoder=encoder,
            depth=saved.depth,
            target=saved.target,
        )
        same = saved.check_gallery(chat.gallery, changed)
        chat._pending, chat._passed = saved.pending, saved.passed
        chat._rounds = saved.rounds if same else tuple(map(chat._again, saved.rounds))
        return chat

    def _next(self) -> Question:
        talk = self.dialogue
        if talk is None:
            return FIRST
        if self.questioner is None:
            return MORE
        for passed in self._passed:
            talk = talk.answered(passed, "unknown")
        try:
            asked = self.questioner.ask(talk, self._view())
        except CrossrankError as error:
            # the list is there, and whoever looks for something can go on without a question
            logger.warning("no question: %s", error)
            return Question(MORE.text, f"no question: {error}")
        return MORE if asked is None else asked

    def _view(self) -> View:
        """Return the candidates as they stand, and as many more by the search as are wanted."""
        parts = self._rounds[-1].parts
        ranking = self.ranking
        rows = np.array([hit.index for hit in ranking], np.int64)
        wanted = 0 if self.questioner is None else self.questioner.depth
        if wanted > len(rows):
            more = self._ranker.search(["more"], [parts], wanted)
            (found,) = np.take_along_axis(more.index, more.base_order(), axis=1)
            rows = np.concatenate([rows, found[~np.isin(found, rows)]])
        return View(self.gallery, rows, self._texts.embeddings, self._rounds[-1].text)

    def _ranked(self, parts: tuple[Part, ...]) -> cr.Ranking:
        """Rank once for the same parts: an answer that changes no query changes nothing."""
        if parts not in self._rankings:
            while len(self._rankings) >= REMEMBERED:
                del self._rankings[next(iter(self._rankings))]
            self._rankings[parts] = self._ranker(["chat"], [parts])["chat"]
        return self._rankings[parts]

    def _rank(self, parts: tuple[Part, ...], ranking: cr.Ranking) -> int | None:
        """Return the target's rank: what was not reranked keeps its place in the search."""
        if self.target is None or self._target_row is None:
            return None
        if self.target in ranking.ids:
            return 1 + ranking.ids.index(self.target)
        vector = self._ranker.vectors([parts])[0]
        scores = np.asarray(self.gallery["embedding"], np.float64) @ vector
        own = scores[self._target_row]
        ahead = (scores > own) | ((scores == own) & (np.arange(len(scores)) < self._target_row))
        return max(1 + int(ahead.sum()), len(ranking) + 1)

    def _again(self, known: Round) -> Round:
        """Return a round as it is on another gallery."""
        ranking = self._ranked(known.parts)
        rank = self._rank(known.parts, ranking)
        return replace(known, best=ranking.ids[:SHOWN], rank=rank)


REMEMBERED = 50
"""Rankings that are kept, so that what is taken back costs nothing."""
