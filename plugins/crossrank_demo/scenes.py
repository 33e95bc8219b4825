"""What the demo looks at: photographs, the crops cut from them, and queries with their answers."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from crossrank.report import Box


@dataclass(frozen=True, slots=True)
class Crop:
    """One candidate: a part of a photograph.

    Parameters
    ----------
    id
        ``"<photograph>/<name>"``.
    box
        Where it lies in the photograph.
    shows
        What can be seen in it, written by hand.
    """

    id: str
    box: Box
    shows: frozenset[str]


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture file that lies inside an installed package.

    Parameters
    ----------
    name
        Start of its crops' ids.
    package
        The import name of the package that brings it.
    file
        Its path inside the package.
    title, credit, licence, source
        For the list of attributions.
    crops
        The candidates cut from it.
    """

    name: str
    package: str
    file: str
    title: str
    credit: str
    licence: str
    source: str
    crops: tuple[Crop, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A sentence, and what a crop must show to be relevant to it.

    Parameters
    ----------
    id, text
        The query.
    needs
        All of these must be seen.
    without
        None of these may be seen.
    """

    id: str
    text: str
    needs: frozenset[str]
    without: frozenset[str]

    def wants(self, crop: Crop) -> bool:
        """Tell whether a crop is relevant."""
        return self.needs <= crop.shows and not self.without & crop.shows


@dataclass(frozen=True, slots=True)
class Scenes:
    """All photographs and all queries."""

    photographs: tuple[Photograph, ...]
    queries: tuple[Query, ...]

    @property
    def crops(self) -> tuple[Crop, ...]:
        """Every crop of every photograph: the gallery."""
        return tuple(crop for photograph in self.photographs for crop in photograph.crops)

    def qrels(self) -> dict[str, dict[str, int]]:
        """Return ``{query id: {crop id: 1}}`` for what is relevant."""
        return {
            query.id: {crop.id: 1 for crop in self.crops if query.wants(crop)}
            for query in self.queries
        }


def load_scenes() -> Scenes:
    """Read the photographs, crops and queries of the demo."""
    written = tomllib.loads(files("crossrank_demo").joinpath("scenes.toml").read_text("utf-8"))
    return Scenes(
        photographs=tuple(_photograph(entry) for entry in written["photograph"]),
        queries=tuple(
            Query(
                id=entry["id"],
                text=entry["text"],
                needs=frozenset(entry["needs"]),
                without=frozenset(entry.get("without", ())),
            )
            for entry in written["query"]
        ),
    )


def _photograph(entry: dict[str, Any]) -> Photograph:
    crops = tuple(
        Crop(f"{entry['name']}/{name}", tuple(crop["box"]), frozenset(crop["shows"]))
        for name, crop in entry["crops"].items()
    )
    return Photograph(**{**entry, "crops": crops})
