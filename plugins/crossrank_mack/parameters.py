"""The parameters of the reranker ``mack``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import (
    boolean,
    check,
    finite,
    instance_of,
    integer,
    methods,
    none,
    one_of,
)
from crossrank_knowledge import KnowledgeBank, Parser

SHIPPED = Path(__file__).with_name("bank_lite")
"""A bank of Flickr8k's train captions for regions of ``lite``."""

BANK = instance_of(KnowledgeBank, str, Path, give="a KnowledgeBank or the folder of one")


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
        check(
            "mack",
            self,
            knowledge=BANK,
            k_max=integer(1) | none,
            center=boolean | none,
            adjective=finite,
            mode=one_of("auto", "t2i", "i2t"),
            no_noun=one_of("abstain", "one_hot"),
            prototypes=one_of("mean", "max"),
            parser=methods("phrases", "fingerprint") | none,
        )

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
