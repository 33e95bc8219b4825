"""Orders after ARO: a caption among four of the same words in another order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError
from crossrank_bench.benchmark import Benchmark, Collecting
from crossrank_bench.pictures import Shot
from crossrank_bench.readers.files import entries, find_files, text_of
from crossrank_graphs import Graph, Span, parse

SIZE = 3


def read(data: Path) -> Benchmark:
    """Read captions of pictures and change the order of their words, or orders made elsewhere.

    Either entries ``{"filename", "captions": [...]}``, of which the first caption is taken, or
    ``{"image", "caption_options": [right, wrong, ...]}``.  As in ARO the words that change places
    are the nouns and adjectives, all but these, those within groups of three, and the groups.
    What stays as it was is left out.
    """
    patterns = ("*order*.json*", "captions.jsonl", "*captions*.json*", "*karpathy*.json")
    (path, *_) = find_files("orders", data, patterns, ("data", "coco_cc", "aro"))
    made = Collecting()
    captions: list[tuple[str, Shot, str]] = []
    for key, entry in entries("orders", path):
        where = f"bench orders: item {key} of {path}"
        shot = Shot(text_of(where, entry, "filename", "image", "image_path"))
        given = entry.get("caption_options")
        if given is not None:
            made.add(key, "order", [shot], _options(where, given))
        else:
            captions.append((key, shot, _caption(where, entry)))
    for (key, shot, caption), graph in zip(
        captions, parse([caption for _, _, caption in captions]), strict=True
    ):
        wrong = tuple(dict.fromkeys(orders(graph, seed=caption)))
        if wrong:
            made.add(key, "order", [shot], [caption, *wrong])
    same = len(captions) + sum("caption_options" in e for _, e in entries("orders", path))
    left_out = same - len(made.cases)
    notes = [f"{left_out} captions have no other order"] if left_out else []
    return made.benchmark("orders", "choice", notes)


def orders(graph: Graph, seed: str) -> Iterator[str]:
    """Yield up to four other orders of a caption's words.

    Parameters
    ----------
    graph
        Of the caption; its names and attributes count as nouns and adjectives.
    seed
        Decides the order.
    """
    words = graph.text.split()
    named = _named(graph)
    draw = random.Random(seed)
    places = (
        [k for k in range(len(words)) if k in named],
        [k for k in range(len(words)) if k not in named],
    )
    threes = [list(range(k, min(k + SIZE, len(words)))) for k in range(0, len(words), SIZE)]
    for chosen in places:
        yield from _other(words, _exchanged(words, [chosen], draw))
    yield from _other(words, _exchanged(words, threes, draw))
    groups = [[words[k] for k in three] for three in threes]
    draw.shuffle(groups)
    yield from _other(words, [word for group in groups for word in group])


def _exchanged(words: Sequence[str], groups: Sequence[list[int]], draw: random.Random) -> list[str]:
    changed = list(words)
    for group in groups:
        other = group.copy()
        draw.shuffle(other)
        for place, source in zip(group, other, strict=True):
            changed[place] = words[source]
    return changed


def _other(words: Sequence[str], changed: Sequence[str]) -> Iterator[str]:
    if list(words) != list(changed):
        yield " ".join(changed)


def _named(graph: Graph) -> set[int]:
    """Return the places of words that are part of a name or an attribute."""
    spans: list[Span] = []
    for thing in graph.objects:
        spans += [*([] if thing.span is None else [thing.span]), *thing.attribute_spans]
    found, done = set(), 0
    for place, word in enumerate(graph.text.split()):
        start = graph.text.index(word, done)
        done = start + len(word)
        if any(start < end and first < done for first, end in spans):
            found.add(place)
    return found


def _caption(where: str, entry: Mapping[str, Any]) -> str:
    several = entry.get("captions", entry.get("caption"))
    if isinstance(several, list):
        several = several[0] if several else None
    return text_of(where, {"caption": several}, "caption")


def _options(where: str, given: Any) -> list[str]:
    if (
        not isinstance(given, list)
        or len(given) < 2
        or not all(isinstance(each, str) and each.strip() for each in given)
    ):
        raise FormatError(f"{where}: caption_options is no list of two texts or more")
    return given
