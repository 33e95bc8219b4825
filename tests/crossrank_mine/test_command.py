"""``crossrank mine``: runs and collections in, files to train on out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import crossrank as cr
from crossrank.cli import main
from crossrank.evaluation import write_qrels

Mine = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cr.Collection(["t0", "t1"], "text", text=["a dog", "ein Baum 樹"]).save(tmp_path / "texts")
    for number in range(4):
        Image.new("RGB", (4, 4), (60 * number, 0, 0)).save(tmp_path / f"i{number}.png")
    paths = [str(tmp_path / f"i{number}.png") for number in range(4)]
    ids = [f"i{number}" for number in range(4)]
    cr.Collection(ids, "image", path=paths).save(tmp_path / "images")
    cr.Collection(ids, "image+text", path=paths, text=ids).save(tmp_path / "both")
    lines = [
        f"t{query} Q0 i{candidate} {candidate} {0.9 - 0.1 * candidate:.2f} x\n"
        for query in range(2)
        for candidate in range(4)
    ]
    (tmp_path / "run.trec").write_text("".join(lines))
    write_qrels(tmp_path / "qrels", {"t0": {"i1": 1}, "t1": {"i3": 1}})
    return tmp_path


def mined(folder: Path, *options: object, code: int = 0, gallery: str = "images") -> str:
    arguments = ["mine", folder / "run.trec", "--queries", folder / "texts"]
    arguments += ["--gallery", folder / gallery, "--qrels", folder / "qrels"]
    result = CliRunner().invoke(main, [str(each) for each in (*arguments, *options)])
    assert result.exit_code == code, result.output
    return result.output


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_triplets_of_a_text_and_pictures(folder: Path) -> None:
    said = mined(folder, "--format", "triplet", "-o", folder / "out.jsonl")
    assert "6 rows, 6 hard negatives of 2 queries" in said
    first, *_, last = lines(folder / "out.jsonl")
    assert first == {
        "anchor": "a dog",
        "positive": str(folder / "i1.png"),
        "negative": str(folder / "i0.png"),
        "scores": pytest.approx([0.8, 0.9]),
    }
    assert last["anchor"] == "ein Baum 樹"


def test_the_other_formats_and_a_margin(folder: Path) -> None:
    out = folder / "out.jsonl"
    mined(folder, "--format", "n-tuple", "--negatives", 2, "--no-scores", "-o", out)
    assert set(lines(out)[0]) == {"anchor", "positive", "negative_1", "negative_2"}
    mined(folder, "--format", "labeled-pair", "--margin", 0.05, "-o", out, "--force")
    assert [row["label"] for row in lines(out)] == [1, 0, 0, 1]  # t1's positive is the lowest
    mined(folder, "--format", "labeled-list", "--scores", "-o", out, "--force")
    assert lines(out)[0]["scores"] == pytest.approx([0.8, 0.9, 0.7, 0.6])
    assert len(lines(out)[0]["positive"]) == 4
    assert "labels" not in lines(out)[0]


def test_pictures_with_texts_and_pictures_of_unusual_names(folder: Path) -> None:
    out = folder / "out.jsonl"
    mined(folder, "--format", "triplet", "-o", out, gallery="both")
    negative = lines(out)[0]["negative"]
    assert list(negative.items()) == [("image", str(folder / "i0.png")), ("text", "i0")]
    paths = [str(folder / f"i{number}.png") for number in range(3)] + ["relative.ppm"]
    cr.Collection([f"i{n}" for n in range(4)], "image", path=paths).save(folder / "odd")
    mined(folder, "--format", "triplet", "-o", out, "--force", gallery="odd")
    assert lines(out)[0]["negative"] == {"image": str(folder / "i0.png")}
    assert lines(out)[2]["negative"] == {"image": str(Path.cwd() / "relative.ppm")}


def test_parquet_and_json(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    said = mined(folder, "--format", "triplet", "-o", folder / "out.parquet", "--json")
    assert json.loads(said)["rows"] == 6
    assert parquet.read_table(folder / "out.parquet").column_names[:3] == [
        "anchor",
        "positive",
        "negative",
    ]


def test_what_it_refuses(folder: Path) -> None:
    out = folder / "out.jsonl"
    options = ("--format", "triplet", "-o", out)
    assert "is not one of 'triplet'" in mined(folder, "--format", "pairs", "-o", out, code=2)
    assert "lower the margin" in mined(folder, *options, "--margin", 5, code=2)
    assert "negatives is 0; give" in mined(folder, *options, "--negatives", 0, code=2)
    empty = cr.Collection([f"i{n}" for n in range(4)], "image", size=np.ones((4, 2)))
    empty.save(folder / "empty")
    assert "has no 'path'" in mined(folder, *options, code=2, gallery="empty")
    assert "i0" in mined(folder, *options, code=2, gallery="texts")
    write_qrels(folder / "qrels", {"i1": {"t0": 1}})  # the other direction's
    assert "direction of the qrels" in mined(folder, *options, code=2)
    assert not out.exists()
    out.write_text("mine")
    assert "exists already" in mined(folder, *options, code=2)
    assert out.read_text() == "mine"


def test_a_positive_outside_its_list_gives_no_row_with_scores(folder: Path) -> None:
    run = folder / "run.trec"
    kept = [line for line in run.read_text().splitlines(True) if "t1 Q0 i3" not in line]
    run.write_text("".join(kept))
    out = folder / "out.jsonl"
    said = mined(folder, "--format", "triplet", "-o", out)
    assert len(lines(out)) == 3
    assert "1 positives are outside their list" in said
    mined(folder, "--format", "triplet", "-o", out, "--force", "--no-scores")
    assert len(lines(out)) == 6
