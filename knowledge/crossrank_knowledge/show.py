"""The pictures that come nearest to a word's prototype, and a page of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.parts import parts_of
from crossrank.report import Picture, embed, may_show, page_template
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.checks import same_space
from crossrank_knowledge.drawing import draw_graph
from crossrank_knowledge.vectors import region_vectors, top_k

THUMBNAIL = 240
CHUNK_IMAGES = 256


@dataclass(frozen=True, slots=True)
class NearPicture:
    """A picture and where it comes nearest to a word.

    Parameters
    ----------
    id
        Its id in the gallery.
    path
        The file, if the gallery knows it.
    cosine
        Of its best region and the prototype.
    box
        Of that region, ``x0, y0, x1, y1`` in [0, 1], if known.
    """

    id: str
    path: str | None
    cosine: float
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class WordPage:
    """What the page says of one word."""

    word: str
    count: int
    nearest: list[tuple[str, float]]
    pictures: list[NearPicture]


def nearest_pictures(
    bank: KnowledgeBank, words: Sequence[str], gallery: cr.Collection, k: int, center: bool = True
) -> list[list[NearPicture]]:
    """Return per word the k pictures whose best region lies nearest to its prototype.

    Parameters
    ----------
    bank, words
        Words that the bank knows.
    gallery
        Pictures with ``regions`` of the bank's encoder, and perhaps ``boxes`` (or
        ``token_boxes``) and ``path``.
    k
        How many.
    center
        Whether to subtract the bank's mean from both sides.

    Raises
    ------
    FeatureMismatchError
        If the gallery lies in another space.
    """
    regions = gallery["regions"]
    same_space("show", bank, gallery)
    vectors = bank.unit_prototypes(center)[[bank.row(word) for word in words]]
    cosines = np.full((len(words), len(gallery)), -np.inf, np.float32)
    places = np.zeros((len(words), len(gallery)), np.int64)
    for start in range(0, len(gallery), CHUNK_IMAGES):
        rows = np.arange(start, min(start + CHUNK_IMAGES, len(gallery)))
        taken = regions.take(rows)
        similarity = vectors @ region_vectors(bank, taken.flat, center).T
        for row, begin, end in zip(rows, taken.offsets, taken.offsets[1:], strict=False):
            if end > begin:
                part = similarity[:, begin:end]
                places[:, row] = part.argmax(axis=1)
                cosines[:, row] = part.max(axis=1)
    return [_best(gallery, cosines[n], places[n], k) for n in range(len(words))]


def _best(
    gallery: cr.Collection, cosines: NDArray[np.float32], places: NDArray[np.int64], k: int
) -> list[NearPicture]:
    found = []
    for row in top_k(cosines, k):
        if not np.isfinite(cosines[row]):
            break
        path = gallery["path"][row] if "path" in gallery else None
        count = len(gallery["regions"][row])
        part = parts_of(gallery, int(row), count, names=(), boxes=("boxes", "token_boxes"))
        box = part[int(places[row])].box
        found.append(NearPicture(gallery.ids[row], path, float(cosines[row]), box))
    return found


def describe(
    bank: KnowledgeBank,
    words: Sequence[str],
    neighbours: int,
    pictures: list[list[NearPicture]],
    center: bool = True,
) -> list[WordPage]:
    """Put together what the page says of each word."""
    return [
        WordPage(
            word, int(bank.counts[bank.row(word)]), bank.nearest(word, neighbours, center), near
        )
        for word, near in zip(words, pictures, strict=True)
    ]


def render_page(bank: KnowledgeBank, words: Sequence[WordPage], center: bool = True) -> str:
    """Return one self-contained HTML page, pictures and graph included."""
    template = page_template(
        "crossrank_knowledge", "bank.html", extra="knowledge", purpose="the page"
    )
    asked = [each.word for each in words]
    near = dict.fromkeys([*asked, *(name for each in words for name, _ in each.nearest)])
    return template.render(
        bank=bank,
        words=words,
        center=center,
        places=any(near.box is not None for each in words for near in each.pictures),
        graph=draw_graph(bank, list(near), asked, center) if len(near) > 1 else None,
        thumbnail=cache(_thumbnail),
    )


def _thumbnail(path: str | None) -> Picture | None:
    """Return a small copy of a picture, or None where there is none that a page may show."""
    return None if path is None or not may_show(path) else embed(path, THUMBNAIL)
