"""A second look: hints of a picture to a generator of texts, and its text back to the pictures.

AdaMatch-Cyclic (ACL 2024) trains two language models with such hints; here a generator is any
callable, and what comes back is scored, not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import crossrank as cr
from crossrank.errors import InputError
from crossrank.report import Hints, hints_of, prompt

Generator = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one picture.

    Parameters
    ----------
    picture
        Its id.
    hints, prompt
        What was found of it, and what the generator was told.
    text
        What the generator said.
    score
        Of the text with the picture, by ``adamatch``.
    rank
        Of the picture among all candidates of the text, from 1; None where the list has it not.
    """

    picture: str
    hints: Hints
    prompt: str
    text: str
    score: float | None
    rank: int | None


def second_look(
    pictures: cr.Collection,
    texts: cr.Collection,
    picture_ids: Sequence[str],
    generate: Generator,
    *,
    encoder: Any = "lite",
    depth: int = 10,
    **params: Any,
) -> list[Look]:
    """Let a generator describe pictures by hints, and see whether its texts find them again.

    A picture's nearest texts are compared with it by ``adamatch``; their keywords and key patches
    make a prompt; what the generator says is encoded and looks for its picture among all.

    Parameters
    ----------
    pictures, texts
        Collections of one encoder, with ``embedding`` and what ``adamatch`` reads.
    picture_ids
        The pictures to describe.
    generate
        Takes a prompt and returns a text: a language model, or a person.
    encoder
        That of the collections, by name, class or object.
    depth
        How many texts give hints, and how many pictures a generated text is compared with.
    **params
        Of ``adamatch``.

    Raises
    ------
    InputError
        If the generator returns no text, or there is nothing from which to make hints.
    """
    pipeline = cr.Pipeline(cr.Stage("adamatch", depth, cr.Replace(), params))
    rows = [pictures.row(each) for each in picture_ids]
    nearest = cr.search(pictures.take(rows), texts, depth=depth)
    found = []
    for row, picture in enumerate(nearest.query_ids):
        listed = nearest.index[row][nearest.mask[row]].tolist()
        (evidence,) = pipeline.explain(
            pictures, texts, picture, [texts.ids[each] for each in listed]
        ).values()
        hints = hints_of(evidence)
        if not hints:
            raise InputError(f"second_look: no text gives a hint of {picture!r}; give more texts")
        asked = prompt(hints[0])
        found.append((picture, hints[0], asked, _said(generate, picture, asked)))
    ids = [f"look-{place}" for place in range(len(found))]
    items = [cr.Item(id, said[3]) for id, said in zip(ids, found, strict=True)]
    features = tuple(name for name in texts.features if name not in ("text", "path", "concepts"))
    new = cr.encode(encoder, items, modality="text", features=features)
    rankings = pipeline.rerank(cr.search(new, pictures, depth=depth), new, pictures)
    looks = []
    for id, said in zip(ids, found, strict=True):
        own = [(hit.score, hit.rank) for hit in rankings[id] if hit.id == said[0]]
        looks.append(Look(*said, *(own[0] if own else (None, None))))
    return looks


def _said(generate: Generator, picture: str, asked: str) -> str:
    text = generate(asked)
    if not isinstance(text, str) or not text.strip():
        raise InputError(
            f"second_look: the generator returned {text!r} for {picture!r}; it must return a text"
        )
    return text
