"""Retrieval by dialogue: what was asked and answered becomes a query, and is measured by rounds.

After PlugIR (Lee et al., ACL 2024): any frozen matcher ranks, so any crossrank pipeline does; a
language model is not needed.
"""

from crossrank_dialogue.dialogue import Dialogue, Turn, read_dialogues
from crossrank_dialogue.entropy import expected_drop
from crossrank_dialogue.measures import bri, hits_at, log_rank, padded, ranks_of, recall_at
from crossrank_dialogue.reformulators import (
    Answers,
    Concat,
    Fuse,
    Part,
    Precomputed,
    Reformulator,
    Rules,
)
from crossrank_dialogue.selection import entropies, representatives, select_question
from crossrank_dialogue.statements import is_unknown, statement

__all__ = [
    "Answers",
    "Concat",
    "Dialogue",
    "Fuse",
    "Part",
    "Precomputed",
    "Reformulator",
    "Rules",
    "Turn",
    "bri",
    "entropies",
    "expected_drop",
    "hits_at",
    "is_unknown",
    "log_rank",
    "padded",
    "ranks_of",
    "read_dialogues",
    "recall_at",
    "representatives",
    "select_question",
    "statement",
]
