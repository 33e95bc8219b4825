"""Evidence as clients can show it: spans of a text, regions of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossrank import Evidence, Link
from crossrank_serve.records import Spans


def relevant_spans(
    text: str, evidence: Mapping[str, Evidence], words_asked: bool, spans: Spans
) -> list[dict[str, Any]]:
    """Return where the parts that speak for a text lie in it, best first.

    Parameters
    ----------
    text
        The document.
    evidence
        Per stage.
    words_asked
        Whether a link runs from each part of the query, so that several may meet in one part of
        the document; else each part of the document has its own.
    spans
        How many, from which weight.

    Returns
    -------
    list of dict
        ``start`` and ``end`` in characters, ``score`` the weight, ``query`` what it answers to.
    """
    best: dict[tuple[int, int], Link] = {}
    for each in evidence.values():
        names = [link.candidate for link in each.links]
        found = _places(text, names, in_order=not words_asked)
        for link, place in zip(each.links, found, strict=True):
            if place is not None and (place not in best or best[place].weight < link.weight):
                best[place] = link
    return [
        {"start": start, "end": end, "score": link.weight, "query": link.query}
        for (start, end), link in _cut(best.items(), spans)
    ]


def relevant_regions(evidence: Mapping[str, Evidence], spans: Spans) -> list[dict[str, Any]]:
    """Return the boxes of a picture that speak for it, best first.

    Returns
    -------
    list of dict
        ``box`` (x0, y0, x1, y1 in [0, 1] of the picture), ``score`` the weight, ``query`` the word
        it answers to.
    """
    links = [
        (link.candidate_box, link)
        for each in evidence.values()
        for link in each.links
        if link.candidate_box is not None
    ]
    return [
        {"box": list(box), "score": link.weight, "query": link.query}
        for box, link in _cut(links, spans)
    ]


def _cut(found: Iterable[tuple[Any, Link]], spans: Spans) -> list[tuple[Any, Link]]:
    kept = [each for each in found if spans.threshold is None or each[1].weight >= spans.threshold]
    return sorted(kept, key=lambda each: -each[1].weight)[: spans.most]


def _places(text: str, names: Sequence[str], in_order: bool) -> list[tuple[int, int] | None]:
    """Find each word in a text; in the text's own order, a word that returns is the next one."""
    small, start = _lowered(text), 0
    found: list[tuple[int, int] | None] = []
    for name in names:
        word = _lowered(name)
        place = small.find(word, start) if word else -1
        found.append(None if place < 0 else (place, place + len(word)))
        if in_order and place >= 0:
            start = place + len(word)
    return found


def _lowered(text: str) -> str:
    """Lower a text letter by letter: places stay what they are."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
