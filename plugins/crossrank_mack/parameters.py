"""The parameters of the reranker ``mack``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from crossrank.errors import ParameterError
from crossrank_knowledge import KnowledgeBank, Parser

SHIPPED = Path(__file__).with_name("bank_lite")
"""A bank of Flickr8k's train captions for regions of ``lite``."""

_CHOICES = {
    "mode": ("auto", "t2i", "i2t"),
    "no_noun": ("abstain", "one_hot"),
    "prototypes": ("mean", "max"),
}


@dataclass(frozen=True, slots=True)
class MackParameters:
    """What may be chosen; the defaults are the paper's, but for `no_noun`.

    Parameters
    ----------
    knowledge
        A `KnowledgeBank`, or the folder of one; by default the bank that comes along for regions of
        the encoder ``lite``, see its MODEL_CARD.md.
    k_max
        Mean of the k largest similarities in place of the largest; if there are fewer, of all.  By
        default 1, as in the paper, and with the bank that comes along what was best on ``val``: 10
        for the pooling of ``t2i``.
    mode
        How similarities are pooled: ``"t2i"`` the mean over words of the best region, ``"i2t"``
        the mean over regions of the best word, ``"auto"`` whichever the direction is.
    center
        Subtract the mean of the bank's training regions from regions and prototypes.  Not the
        paper's: it is for features that are all positive, where every cosine is high; so it is
        done by default with the bank that comes along.
    adjective
        The weight of the adjective's prototype, added before normalising; the paper's is 1.
    no_noun
        For a text without a noun the bank knows: ``"abstain"``, so that the base score stands, or
        ``"one_hot"`` as the authors' code does: the first unit vector.
    prototypes
        Where the bank has several prototypes per word: the ``"max"`` or ``"mean"`` of their
        similarities.
    parser
        Finds nouns and adjectives where the texts carry no ``concepts``; spaCy's small English
        model by default.
    """

    knowledge: KnowledgeBank | str | Path = SHIPPED
    k_max: int | None = None
    mode: str = "auto"
    center: bool | None = None
    adjective: float = 1.0
    no_noun: str = "abstain"
    prototypes: str = "max"
    parser: Parser | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.knowledge, KnowledgeBank | str | Path):
            raise ParameterError(
                f"mack: knowledge is a {type(self.knowledge).__name__}; give a KnowledgeBank or "
                "the folder of one"
            )
        wanted = 1 if self.k_max is None else self.k_max
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            raise ParameterError(f"mack: k_max is {self.k_max!r}; give an integer of at least 1")
        if not isinstance(self.center, bool | None):
            raise ParameterError(f"mack: center is {self.center!r}; give true or false")
        number = isinstance(self.adjective, int | float) and not isinstance(self.adjective, bool)
        if not number or not math.isfinite(self.adjective):
            raise ParameterError(f"mack: adjective is {self.adjective!r}; give a finite number")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ParameterError(
                    f"mack: {name} is {getattr(self, name)!r}; give one of {', '.join(choices)}"
                )
        if self.parser is not None and not isinstance(self.parser, Parser):
            raise ParameterError("mack: parser must have phrases(texts) and fingerprint()")

    @property
    def shipped(self) -> bool:
        """Whether the bank is the one that comes along."""
        return isinstance(self.knowledge, Path) and self.knowledge == SHIPPED

    @property
    def centered(self) -> bool:
        """Whether the mean of the bank's regions is subtracted."""
        return self.shipped if self.center is None else self.center

    def best(self, pooling: str) -> int:
        """Return of how many of the largest similarities the mean is taken."""
        if self.k_max is not None:
            return self.k_max
        return 10 if self.shipped and pooling == "t2i" else 1
