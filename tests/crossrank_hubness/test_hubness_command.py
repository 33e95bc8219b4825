"""How hub-like a gallery is, counted by loops and shown on a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import InputError
from crossrank_hubness import hub_report, k_occurrence
from crossrank_hubness.occurrence import skewness
from toys.hubness import product, world


def test_counts_and_skewness_are_those_of_their_definition() -> None:
    queries, gallery, bank = world(queries=30)
    stage = cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, "k": 8})
    report = hub_report(queries, gallery, 5, cr.Pipeline(stage))
    s = product(queries, gallery)
    after = s - 0.75 * np.sort(product(bank, gallery), axis=0)[-8:].mean(axis=0)
    for name, matrix in (("before", s), ("after", after)):
        counts = [0] * len(gallery)
        for row in matrix:
            for place in np.argsort(-row)[:5]:
                counts[place] += 1
        found = report.systems[name]
        assert found.counts.tolist() == counts
        mean = sum(counts) / len(counts)
        second = sum((each - mean) ** 2 for each in counts) / len(counts)
        third = sum((each - mean) ** 3 for each in counts) / len(counts)
        assert found.skewness == pytest.approx(third / second**1.5)
        assert found.never == counts.count(0) / len(counts)
    assert report.systems["after"].skewness < report.systems["before"].skewness
    worst = report.hubs()
    assert len(worst) == 10
    assert worst[0]["before"] == max(report.systems["before"].counts)


def test_nothing_deviates() -> None:
    assert skewness([3, 3, 3]) == 0
    assert skewness([]) == 0
    assert k_occurrence(np.zeros((0, 3), np.int64), 4).counts.tolist() == [0] * 4


def test_what_cannot_be_counted() -> None:
    queries, gallery, _ = world()
    for k in (0, 41, True):
        with pytest.raises(InputError, match="k is"):
            hub_report(queries, gallery, k)
    with pytest.raises(InputError, match="no queries"):
        hub_report(queries.take([]), gallery)
    with pytest.raises(InputError, match="beyond"):
        k_occurrence([[0, 7]], 5)
    with pytest.raises(InputError, match="shape"):
        k_occurrence([0, 7], 5)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries, gallery, bank = world()
    paths = [str(tmp_path / f"{id}.png") for id in gallery.ids]
    for path in paths[::2]:  # the others are lost
        Image.new("RGB", (8, 8), "red").save(path)
    queries.save(tmp_path / "q")
    gallery.with_features(path=paths).save(tmp_path / "g")
    bank.save(tmp_path / "b")
    given = ["hubness", "--queries", str(tmp_path / "q"), "--gallery", str(tmp_path / "g")]
    stage = ["--stage", f"nnn:bank={tmp_path / 'b'},k=4,fusion=replace"]

    def code(*more: str) -> int:
        with pytest.raises(SystemExit) as done:
            main([*given, *more])
        return int(done.value.code or 0)

    assert code() == 0
    assert "skewness of 10-occurrence" in capsys.readouterr().out
    page = tmp_path / "hubs.html"
    assert code(*stage, "-k", "3", "-o", str(page), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record["systems"]) == {"before", "after"} and record["k"] == 3
    html = page.read_text()
    assert all(hub["id"] in html for hub in record["hubs"]) and "data:image/jpeg" in html
    assert code("-o", str(page)) == 2
    assert code("-k", "0") == 2
    assert code("--depth", "0") == 2
    assert code("--stage", "nothing") == 2
