"""A gallery's hubs before and after a pipeline: as numbers, as a table, as a page with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.cli.kit import table
from crossrank.errors import CrossrankError, InputError
from crossrank.plugin.files import atomic_bytes
from crossrank.report import embed, page_template
from crossrank_hubness.matrices import Integers
from crossrank_hubness.occurrence import Occurrence, k_occurrence

WORST = 10


@dataclass(frozen=True, slots=True)
class HubReport:
    """What a gallery's hubs are.

    Parameters
    ----------
    gallery
        The items.
    queries
        How many asked.
    systems
        ``"before"``, and ``"after"`` where there is a pipeline.
    """

    gallery: cr.Collection
    queries: int
    systems: Mapping[str, Occurrence]

    def hubs(self) -> list[dict[str, Any]]:
        """Return the worst hubs before, each with its counts in all systems."""
        return [
            {
                "id": self.gallery.ids[row],
                **{name: int(each.counts[row]) for name, each in self.systems.items()},
            }
            for row in self.systems["before"].worst(WORST)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but pictures as JSON can hold it."""
        return {
            "queries": self.queries,
            "items": len(self.gallery),
            "k": self.systems["before"].k,
            "systems": {
                name: {
                    "skewness": each.skewness,
                    "never_found": each.never,
                    "most_found": int(each.counts.max(initial=0)),
                }
                for name, each in self.systems.items()
            },
            "hubs": self.hubs(),
        }

    def __str__(self) -> str:
        """Return two tables: how hub-like, and the worst hubs."""
        names = list(self.systems)
        k = self.systems["before"].k
        rows = [
            [f"skewness of {k}-occurrence", *(f"{self.systems[n].skewness:.2f}" for n in names)],
            ["items never found", *(f"{100 * self.systems[n].never:.1f} %" for n in names)],
            ["most often found", *(str(self.systems[n].counts.max(initial=0)) for n in names)],
        ]
        hubs = [[each["id"], *(str(each[name]) for name in names)] for each in self.hubs()]
        right = range(1, 1 + len(names))
        return "\n".join(
            [
                f"{self.queries:,} queries, {len(self.gallery):,} items",
                "",
                table(["", *names], rows, tuple(right)),
                "",
                table([f"worst hubs, in the first {k} of", *names], hubs, tuple(right)),
            ]
        )


def hub_report(
    queries: cr.Collection,
    gallery: cr.Collection,
    k: int = 10,
    pipeline: cr.Pipeline | None = None,
    depth: int | None = None,
    **options: Any,
) -> HubReport:
    """Look at which items are among the k nearest of how many queries.

    Parameters
    ----------
    queries, gallery
        With embeddings, and with what the pipeline reads.
    k
        How many nearest count.
    pipeline
        What a second look is taken with.
    depth
        How many candidates the pipeline is given; the whole gallery by default, since a hub hides
        others below any cut.
    **options
        Of `crossrank.Pipeline.rerank`.

    Raises
    ------
    InputError
        Without queries or a gallery, or if k is above the gallery or the depth.
    """
    if not len(queries) or not len(gallery):
        raise InputError("hubness: there are no queries, or there is no gallery; give both")
    whole = len(gallery) if depth is None else min(depth, len(gallery))
    if isinstance(k, bool) or not 1 <= k <= whole:
        raise InputError(f"hubness: k is {k!r:.80}; give a whole number from 1 to {whole}")
    systems = {"before": k_occurrence(cr.search(queries, gallery, k).index, len(gallery))}
    if pipeline is not None:
        candidates = cr.search(queries, gallery, whole)
        found = pipeline.rerank(candidates, queries, gallery, top_k=k, **options)
        systems["after"] = k_occurrence(_rows(found), len(gallery))
    return HubReport(gallery, len(queries), systems)


def write_page(path: Path, report: HubReport) -> None:
    """Write a page with the worst hubs, pictures where the gallery knows their files."""
    template = page_template(
        "crossrank_hubness", "hubness.html", extra="ablate", purpose="the page of hubs"
    )
    paths = _feature(report.gallery, "path")
    texts = _feature(report.gallery, "text")
    hubs = [
        {
            **each,
            "picture": _picture(paths, report.gallery.row(each["id"])),
            "text": "" if texts is None else texts[report.gallery.row(each["id"])],
        }
        for each in report.hubs()
    ]
    html = template.render(
        title="Hubs", report=report.to_dict(), hubs=hubs, systems=list(report.systems)
    )
    atomic_bytes(path, html.encode())


def _rows(rankings: cr.Rankings) -> Integers:
    return np.asarray(rankings.index, np.int64)


def _feature(gallery: cr.Collection, name: str) -> Any:
    return gallery[name] if name in gallery.features else None


def _picture(paths: Sequence[str] | None, row: int) -> Any:
    if paths is None:
        return None
    try:
        return embed(paths[row], longest=200)
    except CrossrankError:  # pictures may lie elsewhere by now; the numbers stand without them
        return None
