"""The page of a run: its figures, and pictures of what was missed."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from crossrank.errors import ImageError
from crossrank.report import Picture, data_uri, embed, page_template
from crossrank_bench.pictures import cropped
from crossrank_bench.result import BenchResult

MISSES = 8
"""Of each category."""
PICTURES = 4
"""Of each case: single objects compare hundreds."""


@dataclass(frozen=True, slots=True)
class Said:
    """A text of a missed case with each system's scores of the shown pictures."""

    text: str
    right: bool
    scores: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """A case that the last system got wrong.

    Parameters
    ----------
    id
        The case.
    tied
        Whether an equality decided it.
    before
        Whether the first system had it right.
    pictures
        Up to a few.
    texts
        Everything that was compared.
    """

    id: str
    tied: bool
    before: bool
    pictures: tuple[Picture, ...]
    texts: tuple[Said, ...]


def page_of(result: BenchResult) -> str:
    """Return the page as HTML that holds everything it shows."""
    template = page_template(
        "crossrank_bench", "page.html", extra="graphs", purpose="a benchmark's page"
    )
    categories = (case.category for case in result.benchmark.cases)
    return template.render(
        result=result,
        benchmark=result.benchmark,
        chapters=[(name, misses(result, name)) for name in dict.fromkeys(categories)],
        compared=len(result.systems) > 1,
    )


def misses(result: BenchResult, category: str, most: int = MISSES) -> list[Miss]:
    """Return some cases of a category that the last system got wrong, in the benchmark's order."""
    found: list[Miss] = []
    last, first = (list(result.outcomes.values())[place] for place in (-1, 0))
    for place, case in enumerate(result.benchmark.cases):
        if case.category != category or min(last[place].values.values()) >= 1:
            continue
        if len(found) == most:
            break
        shown = case.images[:PICTURES]
        right = list(range(len(shown))) if result.benchmark.kind == "pairs" else [0]
        texts = tuple(
            Said(
                result.benchmark.texts[text],
                column in right,
                tuple(
                    (system, tuple(float(s) for s in matrices[place][: len(shown), column]))
                    for system, matrices in result.scores.items()
                ),
            )
            for column, text in enumerate(case.texts)
        )
        pictures = [_picture(result, image) for image in shown]
        found.append(
            Miss(
                case.id,
                last[place].tied,
                min(first[place].values.values()) >= 1,
                tuple(each for each in pictures if each is not None),
                texts,
            )
        )
    return found


def _picture(result: BenchResult, image: int) -> Picture | None:
    """Return a picture for the page; None where scores were given without pictures."""
    path = result.benchmark.found[image] if result.benchmark.found else None
    if path is None:
        return None
    box = result.benchmark.shots[image].box
    try:
        if box is None:
            return embed(path, longest=280)
        part = cropped(path, box)
    except ImageError:
        return None
    part.thumbnail((280, 280))
    buffer = BytesIO()
    part.save(buffer, "JPEG", quality=80)
    return Picture(data_uri(buffer.getvalue(), "image/jpeg"), part.width, part.height)
