"""Labels to words, as MACK's authors do it."""

from __future__ import annotations

import string

from crossrank.errors import InputError

_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(string.punctuation, " "))


def label_tokens(label: str) -> list[str]:
    """Return the words of a label.

    Each of the 32 ASCII punctuation marks becomes a space, then white space splits.  Nothing is
    lower-cased, lemmatised or left out, and a word that stands twice is returned twice
    (MACK, NeurIPS 2022).

    Raises
    ------
    InputError
        If the label is not a str.

    Examples
    --------
    >>> label_tokens("man's t-shirt")
    ['man', 's', 't', 'shirt']
    """
    if not isinstance(label, str):
        raise InputError(f"a label is {label!r}, a {type(label).__name__}; give a str")
    return label.translate(_PUNCTUATION_TO_SPACE).split()
