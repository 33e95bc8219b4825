"""Tables, plots, the report's HTML, and what a folder holds."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import pickle
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import FormatError, MissingPackageError
from crossrank.report import overlays, scale
from crossrank_ablation import AblationResult, CellResult, Comparison
from crossrank_ablation.csv_table import no_formulas
from crossrank_ablation.outputs import cost_csv
from crossrank_ablation.plots import curves
from crossrank_ablation.tables import mark, p_text
from toys.ablation import Noisy, split
from toys.demo import NaiveFilip

NAMES = (
    "table.txt",
    "table.md",
    "table.csv",
    "table.tex",
    "cost.csv",
    "report.html",
    "result.json",
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[AblationResult, Path]:
    folder = tmp_path_factory.mktemp("study")
    pipeline = cr.Pipeline(
        [cr.Stage(Noisy, name=name, params={"seed": n}) for n, name in enumerate(("a_1", "b&c"))]
    )
    result = cr.ablate(
        pipeline,
        split(name="<x>", folder=folder / "pictures"),
        tune=split(seed=1, name="val"),
        variants=["leave_one_out"],
        grid={"a_1.depth": [4, 12]},
        search={"a_1.weight": [0.3, 1.0, 3.0]},
        statistics={"resamples": 199},
        report={"queries": 3},
        name="A_study of 100 %",
        output=folder / "out",
        cache=False,
    )
    return result, folder / "out"


def test_every_file_is_there(study: tuple[AblationResult, Path]) -> None:
    result, folder = study
    assert {path.name for path in folder.iterdir()} == {*NAMES, "plots", "study.json"}
    assert {path.stem for path in (folder / "plots").iterdir()} == {
        *("weight", "depth", "ceiling", "cost", "slices")
    }
    assert (folder / "table.txt").read_text() == str(result)


def test_a_result_survives_pickle(study: tuple[AblationResult, Path]) -> None:
    result = study[0]
    found = pickle.loads(pickle.dumps(result))
    assert found.to_dict() == result.to_dict() and str(found) == str(result)
    assert set(found.tree().edges) == set(result.tree().edges)
    assert result.galleries is not None and found.galleries is None


def test_the_text_table(study: tuple[AblationResult, Path]) -> None:
    lines = str(study[0]).splitlines()
    assert lines[0] == "t2i: 60 queries"
    assert lines[2].split()[:4] == ["R@1", "R@5", "R@10", "MRR"]
    assert lines[3].startswith("base ")
    assert "what each stage adds to the whole" in lines
    assert "chosen on the other split" in lines
    assert [line for line in lines if line.startswith("b&c (in a_1(depth=4) → b&c)")]


def test_latex_has_the_structure_of_a_booktabs_table(study: tuple[AblationResult, Path]) -> None:
    result, folder = study
    text = (folder / "table.tex").read_text()
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    rules = re.findall(r"\\(top|mid|bottom)rule", text)
    assert rules == ["top", "mid", "mid", "bottom"]
    (spec,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 1 + len(result.cells)
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == len(spec) - 1
    assert "A\\_study of 100 \\%" in text
    assert "b\\&c" in text
    assert "$\\rightarrow$" in text
    assert text.count("\\textbf{") >= len(result.metrics)
    assert _balanced(text)
    assert not re.search(r"(?<!\\)[#%]", text.split("\n", 1)[1])
    assert text.isascii(), [c for c in text if ord(c) > 127]


def test_markdown_has_a_row_per_cell(study: tuple[AblationResult, Path]) -> None:
    result, folder = study
    tables = re.split(r"\n\n", (folder / "table.md").read_text())
    rows = next(part for part in tables if part.startswith("|  | R@1")).splitlines()
    assert len(rows) == 2 + len(result.cells)
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_csv_holds_every_number(study: tuple[AblationResult, Path]) -> None:
    result, folder = study
    rows = list(csv.DictReader(io.StringIO((folder / "table.csv").read_text())))
    for row in rows:
        cell = result.cell(row["cell"], row["direction"])
        assert float(row["value"]) == cell.metrics[row["metric"]]
        if row["against"]:
            found = cell.comparisons[row["against"]][row["metric"]]
            assert float(row["p_value"]) == found.p_value
            assert float(row["p_holm"]) == found.p_holm
            assert int(row["wins"]) == found.wins
    assert len(rows) == len(result.metrics) * (1 + sum(len(c.comparisons) for c in result.cells))


def test_holm_runs_over_the_whole_table(study: tuple[AblationResult, Path]) -> None:
    result, _ = study
    found = [
        each for cell in result.cells for row in cell.comparisons.values() for each in row.values()
    ]
    smallest = min(found, key=lambda each: each.p_value or 0.0)
    assert smallest.p_value is not None
    assert smallest.p_holm == pytest.approx(min(1.0, len(found) * smallest.p_value))


def test_no_table_holds_a_timing(study: tuple[AblationResult, Path]) -> None:
    _, folder = study
    for name in NAMES[:4]:
        text = (folder / name).read_text()
        assert "second" not in text
        assert "ms/query" not in text
    costs = list(csv.DictReader(io.StringIO((folder / "cost.csv").read_text())))
    assert float(costs[1]["seconds"]) > 0
    assert costs[1]["pairs"] == str(60 * 12)


def test_a_result_comes_back_from_its_file(study: tuple[AblationResult, Path]) -> None:
    result, folder = study
    again = AblationResult.open(folder / "result.json")
    assert str(again) == str(result)
    assert again.to_latex() == result.to_latex()
    assert json.dumps(again.to_dict()) == json.dumps(json.loads(json.dumps(result.to_dict())))
    record = json.loads((folder / "result.json").read_text())
    assert all("scorer_calls" in cell for cell in record["cells"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no JSON"),
        ("[]", "is no result of crossrank ablate"),
        ('{"format": "crossrank ablation", "version": 9}', "has version 9"),
        ('{"format": "crossrank ablation", "version": 1}', "is not complete"),
    ],
)
def test_what_is_no_result(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FormatError, match=says):
        AblationResult.open(tmp_path / "x.json")


def test_marks() -> None:
    values = {0.009: "**", 0.01: "*", 0.049: "*", 0.05: "", 1.0: ""}
    for p, expected in values.items():
        assert mark(Comparison(1.0, p_holm=p), 0.05) == expected
    assert [p_text(p) for p in (None, 0.00004, 0.0001, 1.0)] == ["", "<0.0001", "0.0001", "1.0000"]
    assert mark(None, 0.05) == mark(Comparison(1.0), 0.05) == ""


def test_curves_are_the_best_over_the_rest(study: tuple[AblationResult, Path]) -> None:
    result, _ = study
    tried = [t for t in result.tried if t["cell"] == "a_1(depth=4)"]
    lines = dict(curves(result, "t2i", "weight"))
    expected = sorted((t["settings"]["a_1.weight"], t["metrics"]["R@1"]) for t in tried)
    assert lines["a_1 in a_1(depth=4) (tune)"] == expected
    depth = dict(curves(result, "t2i", "depth"))
    assert [x for x, _ in depth["a_1"]] == [4.0, 12.0]


def test_the_page_holds_everything_and_fetches_nothing(study: tuple[AblationResult, Path]) -> None:
    _, folder = study
    page = (folder / "report.html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
    assert "url(data:image/jpeg" in page
    assert "<x>" not in page  # ids are escaped
    assert "a &lt;word&gt;" in page
    assert len(page) < 1_000_000


def test_a_page_of_a_thousand_queries_stays_small(tmp_path: Path) -> None:
    data = split(334)
    rng = np.random.default_rng(0)
    # as detailed as a photograph, and every gallery item has its own copy
    small = Image.fromarray(rng.integers(0, 256, size=(90, 120, 3), dtype=np.uint8))
    small.resize((480, 360), Image.Resampling.BICUBIC).save(tmp_path / "one.jpg")
    paths = [tmp_path / f"{row}.jpg" for row in range(334)]
    for path in paths:
        path.hardlink_to(tmp_path / "one.jpg")
    gallery = data.gallery.with_features(path=[str(path) for path in paths])
    result = cr.ablate(
        cr.Pipeline([cr.Stage(Noisy)]),
        cr.Split(data.queries, gallery, data.qrels, depth=12),
        statistics={"resamples": 99},
        cache=False,
        output=tmp_path / "out",
    )
    assert len(result.queries["t2i"].ids) == 1002
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("url(data:image/jpeg") > 100
    assert len(page) < 10_000_000


def test_the_strongest_links_are_shown_in_their_order() -> None:
    class Talkative(Noisy):
        info = replace(Noisy.info, name="talkative")

        def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
            links = tuple(cr.Link(str(n), "part", float(n * 7 % 40)) for n in range(40))
            found = super().explain(block, state)
            return [replace(each, links=links) for each in found]

    result = cr.ablate(
        cr.Pipeline([cr.Stage(Talkative)]), split(), statistics={"resamples": 0}, cache=False
    )
    assert result.galleries is not None
    words = result.galleries()[0].stories[0].cards[0].said[0].words
    assert [int(word.text) for word in words] == [n for n in range(40) if n * 7 % 40 >= 16]


def test_words_have_the_heat_maps_of_their_tokens() -> None:
    rng = np.random.default_rng(0)

    def tokens(count: int, each: int) -> cr.Ragged:
        rows = rng.normal(size=(count * each, 8)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return cr.Ragged(rows, np.full(count, each, np.int64))

    cells = [[x / 2, y / 2, (x + 1) / 2, (y + 1) / 2] for y in (0, 1) for x in (0, 1)]
    data = split(6)
    gallery = data.gallery.with_features(
        tokens=tokens(6, 4), token_boxes=cr.Ragged.from_list([np.array(cells)] * 6)
    )
    queries = data.queries.with_features(
        tokens=tokens(18, 3), token_text=[["a", "red", "dog"]] * 18
    )
    result = cr.ablate(
        cr.Pipeline([cr.Stage(NaiveFilip, fusion=cr.Replace())]),
        cr.Split(queries, gallery, data.qrels, depth=6),
        statistics={"resamples": 0},
        cache=False,
    )
    assert result.galleries is not None
    (told,) = result.galleries()
    story = told.stories[0]
    card = story.cards[0]
    words = card.said[0].words
    patches = np.asarray(gallery["tokens"][gallery.row(card.id)], np.float64)
    vectors = np.asarray(queries["tokens"][queries.row(story.id)], np.float64)
    assert [word.text for word in words] == ["a", "red", "dog"]
    for word, vector in zip(words, vectors, strict=True):
        np.testing.assert_allclose(word.heat, (patches @ vector).reshape(2, 2))
        assert word.weight == pytest.approx(max(patches @ vector), abs=1e-6)
    low, high = scale(story)
    assert low < high
    first = overlays(story)[0][0][0]
    assert first["heat"].startswith("data:image/png;base64,")
    assert first["extent"] == [0, 0, 1, 1]


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_cells_that_did_not_run_have_a_row() -> None:
    cell = CellResult("x", "t2i", status="failed", error="out of luck")
    assert not cell.is_base
    record: Any = cell.to_dict()
    assert CellResult.from_dict(record).error == "out of luck"


def test_a_notebook_shows_the_tables_with_names_as_text(study: tuple[AblationResult, Path]) -> None:
    html = study[0]._repr_html_()
    assert "A_study of 100 %" in html and "b&amp;c" in html
    assert "b&c" not in html and "<x>" not in html
    assert html.count("<tr") > len(study[0].cells)


def test_without_matplotlib_nothing_is_scored_and_no_folder_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_to_score(self: Any, *_: Any) -> Any:
        raise AssertionError("it was scored first")

    real = importlib.util.find_spec
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "matplotlib" else real(name, *rest),
    )
    monkeypatch.setattr(Noisy, "score", nothing_to_score)
    with pytest.raises(MissingPackageError, match=r"matplotlib.*crossrank\[ablate\]"):
        cr.ablate(cr.Pipeline([cr.Stage(Noisy)]), split(), output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    """Names of stages and messages of errors are anybody's."""
    assert no_formulas({"cell": name, "value": -0.5, "note": "a-b"}) == {
        "cell": f"'{name}",
        "value": -0.5,
        "note": "a-b",
    }
    stage = cr.Stage(Noisy, params={"fail": True}, name=name)
    result = cr.ablate(cr.Pipeline(stage), split(4), statistics={"resamples": 9})
    for text in (result.to_csv(), cost_csv(result)):
        for row in csv.DictReader(io.StringIO(text)):
            assert not any(str(cell).startswith(("=", "@", "\t")) for cell in row.values())
            assert not row["cell"].startswith(("+", "-"))
