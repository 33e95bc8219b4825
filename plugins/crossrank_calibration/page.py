"""The report as a page: reliability diagrams, and what confidences are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import crossrank as cr
from crossrank.plugin.files import atomic_bytes
from crossrank.report import page_template

SIZE, MARGIN = 260, 34


def write_page(path: Path, calibration: cr.Calibration, reports: Mapping[str, Any]) -> None:
    """Write one page that shows a calibration's reports, by the name of their split."""
    template = page_template(
        "crossrank_calibration",
        "calibration.html",
        extra="calibration",
        purpose="the report of a calibration",
    )
    html = template.render(
        method=calibration.method,
        stages=" → ".join(calibration.stages),
        reports={
            name: {**report, "diagrams": {side: diagram(bins) for side, bins in
                                          report["bins"].items()}}
            for name, report in reports.items()
        },
    )  # fmt: skip
    atomic_bytes(path, html.encode())


def diagram(bins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return where the marks of a reliability diagram lie, in pixels of a square drawing.

    An area shows how many pairs a bin holds, by their root so that rare ones stay visible.
    """
    inner = SIZE - 2 * MARGIN
    most = max((each["count"] for each in bins), default=1) or 1
    marks = [
        {
            "x": MARGIN + inner * each["probability"],
            "y": SIZE - MARGIN - inner * each["frequency"],
            "radius": 2 + 8 * (each["count"] / most) ** 0.25,
            "title": f"{each['count']:,} pairs: probability {each['probability']:.3f}, "
            f"{each['frequency']:.3f} relevant",
        }
        for each in bins
        if each["count"]
    ]
    return {"size": SIZE, "low": MARGIN, "high": SIZE - MARGIN, "marks": marks}
