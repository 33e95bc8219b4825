"""What a predicate says about above and below."""

from __future__ import annotations


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


ABOVE = _words(
    "above atop on onto over off down across through along",
    "ride sit stand lie lay lean jump climb leap dive fly float balance mount straddle cross",
    "walk run play swim surf ski skate slide step wear hold carry hang kick dribble throw",
    "eat drink read",
)
BELOW = _words("below beneath under underneath front")
BESIDE = _words(
    "with have near at next of beside and between to by from like behind toward towards after",
    "among around as against opposite follow chase watch face",
)


def vertical(predicate: str) -> int:
    """Return 1 if the subject ought to lie above the object, −1 for below, 0 if nothing is said.

    What is in front of something lies lower in a picture.

    Parameters
    ----------
    predicate
        Lemmas, such as ``"jump over"``.  A word that says below, or beside, outweighs a verb.
    """
    words = set(predicate.lower().split())
    if words & BELOW:
        return -1
    return 1 if words & ABOVE and not words & BESIDE else 0
