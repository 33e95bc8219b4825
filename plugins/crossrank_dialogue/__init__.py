"""Retrieval by dialogue: what was asked and answered becomes a query, and is measured by rounds.

After PlugIR (Lee et al., ACL 2024): any frozen matcher ranks, so any crossrank pipeline does; a
language model helps and is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_dialogue.caption_topics import CaptionTopics
    from crossrank_dialogue.chat import Chat
    from crossrank_dialogue.describing import ByWords
    from crossrank_dialogue.dialogue import Dialogue, Turn, read_dialogues
    from crossrank_dialogue.drop_questioner import DropQuestioner
    from crossrank_dialogue.entropy import expected_drop, expected_gain
    from crossrank_dialogue.llm import Llm
    from crossrank_dialogue.llm_questioner import LlmQuestioner
    from crossrank_dialogue.measures import bri, hits_at, log_rank, padded, ranks_of, recall_at
    from crossrank_dialogue.models import CachedModel, OpenAIModel
    from crossrank_dialogue.questioners import Question, Questioner
    from crossrank_dialogue.ranker import PartRanker
    from crossrank_dialogue.reformulators import (
        Answers,
        Concat,
        Fuse,
        Part,
        Precomputed,
        Reformulator,
        Rules,
    )
    from crossrank_dialogue.replaying import ranks_by_round, replay, round_splits
    from crossrank_dialogue.report import write_report
    from crossrank_dialogue.rounds import Round
    from crossrank_dialogue.selection import entropies, representatives, select_question
    from crossrank_dialogue.selector import QuestionSelector
    from crossrank_dialogue.statements import is_unknown, statement
    from crossrank_dialogue.summary import CandidateSummary
    from crossrank_dialogue.topics import LabelTopics, Topic
    from crossrank_dialogue.view import View
    from crossrank_dialogue.word_topics import BankTopics, WordTopics

__getattr__ = lazy_names(__name__)

__all__ = [
    "Answers",
    "BankTopics",
    "ByWords",
    "CachedModel",
    "CandidateSummary",
    "CaptionTopics",
    "Chat",
    "Concat",
    "Dialogue",
    "DropQuestioner",
    "Fuse",
    "LabelTopics",
    "Llm",
    "LlmQuestioner",
    "OpenAIModel",
    "Part",
    "PartRanker",
    "Precomputed",
    "Question",
    "QuestionSelector",
    "Questioner",
    "Reformulator",
    "Round",
    "Rules",
    "Topic",
    "Turn",
    "View",
    "WordTopics",
    "bri",
    "entropies",
    "expected_drop",
    "expected_gain",
    "hits_at",
    "is_unknown",
    "log_rank",
    "padded",
    "ranks_by_round",
    "ranks_of",
    "read_dialogues",
    "recall_at",
    "replay",
    "representatives",
    "round_splits",
    "select_question",
    "statement",
    "write_report",
]
