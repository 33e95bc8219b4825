"""What a study leaves in its folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from crossrank._files.atomic import atomic_file, disk_errors
from crossrank.report import check_jinja
from crossrank_ablation.csv_table import no_formulas, to_csv
from crossrank_ablation.json_file import write_json
from crossrank_ablation.latex import to_latex
from crossrank_ablation.plots import plots
from crossrank_ablation.report import render
from crossrank_ablation.tables import to_markdown, to_text

if TYPE_CHECKING:
    from crossrank_ablation.result import AblationResult

COST_FIELDS = (
    *("direction", "cell", "encoder", "status", "queries", "pairs", "seconds", "prepare_seconds"),
    *("pairs_per_second", "milliseconds_per_query", "scorer_calls", "pairs_scored"),
    *("pairs_from_cache", "pairs_shared", "ceiling"),
)


def write(result: AblationResult, folder: Path) -> None:
    """Write tables, costs, plots, the report, and last of all ``result.json``."""
    check_jinja("ablate", "an ablation's report")
    with disk_errors(folder):
        (folder / "plots").mkdir(parents=True, exist_ok=True)
    drawn = plots(result)
    texts = {
        "table.txt": to_text(result),
        "table.md": to_markdown(result),
        "table.csv": to_csv(result),
        "table.tex": to_latex(result),
        "cost.csv": cost_csv(result),
        **{f"plots/{name}.svg": svg for name, svg in drawn.items()},
        "report.html": render(result, drawn),
    }
    for name, text in texts.items():
        with atomic_file(folder / name) as file:
            file.write(text)
    write_json(folder / "result.json", result.to_dict())


def cost_csv(result: AblationResult) -> str:
    """Return a line per cell with what it takes, and what was done for it."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COST_FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for cell in result.cells:
        record = {"cell": cell.name, **cell.to_dict(per_query=False), **cell.cost.to_dict()}
        writer.writerow(no_formulas(record))
    return out.getvalue()
