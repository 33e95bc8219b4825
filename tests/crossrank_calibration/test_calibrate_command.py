"""``crossrank calibrate``, and ``crossrank rerank`` with what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank.cli import main as program
from crossrank.errors import CrossrankError
from crossrank_calibration import (
    calibrate,
)
from toys.calibration import METHODS, QRELS, judged, sides


def main(arguments: list[str]) -> int:
    """Run the program and return its exit code."""
    try:
        program(arguments)
    except SystemExit as done:
        return int(done.code or 0)
    raise AssertionError("it did not exit")


def trec(path: Path, run: dict[str, dict[str, float]]) -> Path:
    lines = [
        f"{query} Q0 {id} {rank} {score} x"
        for query, members in run.items()
        for rank, (id, score) in enumerate(sorted(members.items(), key=lambda m: -m[1]), 1)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def qrels_file(path: Path, qrels: dict[str, dict[str, int]]) -> Path:
    lines = [f"{query} 0 {id} {value}" for query, row in qrels.items() for id, value in row.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("method", METHODS)
def test_the_command(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    run, judgements = judged()
    other, others = judged(seed=3)
    arguments = [
        "calibrate", str(trec(tmp_path / "val.trec", run)),
        "--qrels", str(qrels_file(tmp_path / "val.qrels", judgements)),
        "--test", str(trec(tmp_path / "test.trec", other)),
        "--test-qrels", str(qrels_file(tmp_path / "test.qrels", others)),
        "-o", str(tmp_path / "c.json"), "--method", method,
        "--report", str(tmp_path / "c.html"),
    ]  # fmt: skip
    assert main(arguments) == 0
    assert "nAUC of confidence by regression" in capsys.readouterr().out
    assert "<circle" in (tmp_path / "c.html").read_text()
    assert main([*arguments, "--force", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["test"]["ece"]["after"] < record["test"]["ece"]["before"] / 2
    assert main(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert cr.Calibration.open(tmp_path / "c.json").method == method


@pytest.mark.parametrize("which", ["none judged", "no qrels", "one class", "no run"])
def test_bad_input_of_the_command(
    which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, qrels = judged(5)
    if which == "none judged":
        qrels = {"x": {"y": 1}}
    if which == "one class":
        qrels = {query: {"elsewhere": 1} for query in run}
    run_file = trec(tmp_path / "r.trec", run)
    qrels_path = qrels_file(tmp_path / "r.qrels", qrels)
    if which == "no qrels":
        qrels_path.write_text("")
    if which == "no run":
        run_file.unlink()
    output = tmp_path / "c.json"
    code = main(["calibrate", str(run_file), "--qrels", str(qrels_path), "-o", str(output)])
    captured = capsys.readouterr()
    assert code == 2 and len(captured.err.splitlines()) == 1 and not output.exists()


def test_rerank_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries, gallery, candidates = sides()
    queries.save(tmp_path / "q")
    gallery.save(tmp_path / "g")
    trec(tmp_path / "base.trec", candidates.to_run())
    base = ["rerank", "--run", str(tmp_path / "base.trec"), "--queries", str(tmp_path / "q"),
            "--gallery", str(tmp_path / "g"), "--stage", "qbnorm:bank=queries,beta=5"]  # fmt: skip
    assert main([*base, "--out", str(tmp_path / "val")]) == 0
    qrels_file(tmp_path / "v.qrels", QRELS)
    calibration = tmp_path / "c.json"
    assert main(["calibrate", str(tmp_path / "val"), "--qrels", str(tmp_path / "v.qrels"),
                 "-o", str(calibration)]) == 0  # fmt: skip
    capsys.readouterr()
    given = [*base[:-1], f"qbnorm:bank=queries,beta=5,statistics={calibration}", "--json"]
    assert main([*given, "--calibration", str(calibration), "--min-probability", "0.01"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert all(hit["probability"] >= 0.01 for q in record["queries"] for hit in q["hits"])
    assert "confidence" in record["queries"][0]
    assert main([*given, "--min-probability", "0.5"]) == 2
    assert main([*given, "--calibration", str(tmp_path / "v.qrels")]) == 2
    assert main([*given, "--calibration", str(calibration), "--min-probability", "2"]) == 2


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [each for each in sys.modules if each.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(CrossrankError, match=r"crossrank\[calibration\]"):
        calibrate(*judged(8))


def test_it_is_lent() -> None:
    assert getattr(cr, "calibrate") is calibrate  # noqa: B009
