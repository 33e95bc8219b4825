"""Put other words in some places of a text, so that articles, capitals and spans follow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from crossrank_graphs.graph import Span

_ARTICLE = re.compile(r"\b(an?)(\s+)$", re.IGNORECASE)
_VOWEL = re.compile(r"(?!one\b|uni|use|euro)[aeiou]|hour|honest", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A new text, and what stood where: old spans, sorted, with how far each moved its end."""

    text: str
    pieces: tuple[tuple[Span, Span], ...]

    def place(self, span: Span) -> Span:
        """Return where a span of the old text lies now; a replaced one is where its successor is.

        Parameters
        ----------
        span
            Of the old text; it may cover replaced places, and start at none of them but itself.
        """
        for old, new in self.pieces:
            if old == span:
                return new
        return self._moved(span[0]), self._moved(span[1])

    def _moved(self, place: int) -> int:
        moved = place
        for old, new in self.pieces:
            if old[1] <= place:
                moved = place + new[1] - old[1]
        return moved


def rewritten(text: str, spans: Sequence[Span], words: Sequence[str]) -> Rewriting:
    """Return `text` with `words` at `spans`.

    "A" and "an" before a replaced word are put right, and a word that comes to the start of the
    text, or leaves it, takes or loses its capital.
    """
    changes: list[tuple[Span, str]] = []
    for span, word in zip(spans, words, strict=True):
        at_start = not text[: span[0]].strip()
        came_from_start = any(not text[: other[0]].strip() for other in spans if other != span)
        new = word[:1].upper() + word[1:] if at_start and text[span[0]].isupper() else word
        if came_from_start and not at_start and text[:1].isupper():
            new = word[:1].lower() + word[1:]
        changes.append((span, new))
        article = _ARTICLE.search(text[: span[0]])
        if article:
            right = "an" if _VOWEL.match(new) else "a"
            if article[1][0].isupper():
                right = right.capitalize()
            changes.append(((article.start(1), article.end(1)), right))
    pieces, built, done = list[tuple[Span, Span]](), "", 0
    for (start, end), new in sorted(changes):
        built += text[done:start]
        pieces.append(((start, end), (len(built), len(built) + len(new))))
        built += new
        done = end
    return Rewriting(built + text[done:], tuple(pieces))
