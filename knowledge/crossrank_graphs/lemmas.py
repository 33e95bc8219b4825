"""Lemmas of single words, each worked out once."""

from __future__ import annotations

import re
from typing import Any

from crossrank_graphs.words import VERBS

_SHORT_STEM = re.compile(r"(^|[^aeiou])[aeiouy][^aeiouwxy]$")
"""A stem whose last letter would be doubled before "ing": not "rid" but "ride" makes "riding"."""


class Lemmas:
    """The lemma of a word as a noun or verb.

    A short caption's tags are often wrong, so the caller says what the word is; the pipeline's own
    tables tell which forms exist.

    Parameters
    ----------
    pipeline
        A spaCy pipeline with a rule lemmatizer, which may be disabled.
    """

    def __init__(self, pipeline: Any) -> None:
        tables = pipeline.get_pipe("lemmatizer").lookups
        self._index, self._exceptions, self._rules = (
            tables.get_table(f"lemma_{name}") for name in ("index", "exc", "rules")
        )
        self._known: dict[tuple[str, str], str] = {}

    def __call__(self, word: str, part_of_speech: str) -> str:
        """Return the lemma in lower case; `part_of_speech` is ``"NOUN"`` or ``"VERB"``."""
        key = word.lower(), part_of_speech
        if key not in self._known:
            self._known[key] = (self._noun if part_of_speech == "NOUN" else self._verb)(key[0])
        return self._known[key]

    def _noun(self, word: str) -> str:
        if len(word) <= 3 or word.endswith(("ss", "us")):
            return self._exception(word, "noun") or word
        forms = [form for form in self._forms(word, "noun") if form in self._index["noun"]]
        plain = [word] if word in self._index["noun"] or not word.endswith("s") else [word[:-1]]
        return self._exception(word, "noun") or [*forms, *plain][0]

    def _verb(self, word: str) -> str:
        exception = self._exception(word, "verb")
        if exception:
            return VERBS.get(exception, exception)
        forms = [form for form in self._forms(word, "verb") if form in self._index["verb"]]
        stems = [form for form in forms if not form.endswith("e")]
        if len(forms) > 1 and stems and not _SHORT_STEM.search(stems[0]):
            forms = stems
        known = [word] if word in self._index["verb"] and not word.endswith("ing") else []
        found = [*forms, *known, word][0]
        return VERBS.get(found, found)

    def _exception(self, word: str, kind: str) -> str:
        found = self._exceptions[kind].get(word, [])
        return str(found[0]) if found else ""

    def _forms(self, word: str, kind: str) -> list[str]:
        return [
            word[: len(word) - len(old)] + new
            for old, new in self._rules[kind]
            if word.endswith(old) and len(word) > len(old) + 1
        ]
