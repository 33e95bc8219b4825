"""A benchmark: pictures, texts, and cases that compare some of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from crossrank.errors import InputError
from crossrank_bench.pictures import Found, Shot, find_pictures

KINDS = ("choice", "pairs", "labels")
Pair: TypeAlias = tuple[int, int]


class Missing(NamedTuple):
    """A case that cannot be asked because a picture is not there."""

    case: str
    picture: str


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison; its scores are a matrix ``[images, texts]``.

    Parameters
    ----------
    id, category
        What it is called, and what it is counted under.
    images, texts
        Places in the benchmark's pictures and texts.  Of a ``choice`` one picture, and the right
        text first; of ``pairs`` two of each, picture 0 with text 0; of ``labels`` one text.
    relevant
        For ``labels``: whether each picture shows what the text says.
    """

    id: str
    category: str
    images: tuple[int, ...]
    texts: tuple[int, ...]
    relevant: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What a reader found.

    Parameters
    ----------
    name
        One of `crossrank_bench.NAMES`.
    kind
        ``"choice"``: a picture asks for one of several texts; ``"pairs"``: two pictures and two
        texts; ``"labels"``: a text asks for some of many pictures.
    shots
        The pictures, by name.
    texts
        The captions.
    cases
        The comparisons.
    found
        Where each picture lies; empty until they were looked for.
    missing
        Cases without their picture.
    notes
        What else was left out, in sentences.
    """

    name: str
    kind: str
    shots: tuple[Shot, ...]
    texts: tuple[str, ...]
    cases: tuple[Case, ...]
    found: tuple[Found, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()

    def with_pictures(self, folders: Iterable[Path]) -> Benchmark:
        """Return the benchmark with what could be found of its pictures.

        A case without its picture is listed as missing; of ``labels`` only that picture is.

        Raises
        ------
        InputError
            If not one case is left, saying where the pictures were looked for.
        """
        looked = tuple(folders)
        paths = find_pictures(self.shots, looked)
        missing: list[Missing] = []
        cases: list[Case] = []
        for case in self.cases:
            lost = [image for image in case.images if paths[image] is None]
            missing += [Missing(case.id, self.shots[image].name) for image in lost]
            if self.kind == "labels":
                kept = [place for place, image in enumerate(case.images) if image not in set(lost)]
                case = replace(
                    case,
                    images=tuple(case.images[place] for place in kept),
                    relevant=tuple(case.relevant[place] for place in kept),
                )
            if case.images and (self.kind == "labels" or not lost):
                cases.append(case)
        if not cases:
            where = ", ".join(str(folder) for folder in looked)
            named = f", such as {missing[0].picture!r}" if missing else ""
            raise InputError(
                f"bench {self.name}: none of its {len(self.cases)} cases has its pictures{named}; "
                f"they were looked for in {where}; give the folder that holds them as --images"
            )
        return replace(
            self,
            cases=tuple(cases),
            found=tuple(paths),
            missing=tuple(dict.fromkeys(missing)),
        )

    def pairs(self) -> tuple[Pair, ...]:
        """Return every pair of picture and text that a case compares, each once."""
        seen: dict[Pair, None] = {}
        for case in self.cases:
            seen.update(dict.fromkeys((i, c) for i in case.images for c in case.texts))
        return tuple(seen)


@dataclass(slots=True)
class Collecting:
    """What readers fill: every picture and every text gets one place."""

    shots: dict[Shot, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def add(
        self,
        id: str,
        category: str,
        images: Iterable[Shot],
        texts: Iterable[str],
        relevant: Iterable[bool] = (),
    ) -> None:
        """Add a case."""
        self.cases.append(
            Case(
                id,
                category,
                tuple(self.shots.setdefault(shot, len(self.shots)) for shot in images),
                tuple(self.texts.setdefault(text, len(self.texts)) for text in texts),
                tuple(bool(each) for each in relevant),
            )
        )

    def benchmark(self, name: str, kind: str, notes: Iterable[str] = ()) -> Benchmark:
        """Return what was collected."""
        return Benchmark(
            name, kind, tuple(self.shots), tuple(self.texts), tuple(self.cases), notes=tuple(notes)
        )


def read_benchmark(name: str, data: str | Path) -> Benchmark:
    """Read a benchmark's cases, without looking for its pictures.

    Parameters
    ----------
    name
        One of `crossrank_bench.NAMES`.
    data
        Its folder, one above it, or a single file of it.

    Raises
    ------
    InputError
        On an unknown name, or if the folder holds nothing of the benchmark.
    FormatError
        Saying which file and entry cannot be read.
    """
    from crossrank_bench.readers import reader_of

    return reader_of(name)(Path(data))
