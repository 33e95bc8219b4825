"""The study: its measurements against naive loops, its tables against numbers one can count."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import qperturb_measures as measures
import qperturb_report as reporting
import qperturb_study as study
import tiny_blip2_model as tiny
from crossrank_qperturb import perturbation, perturbed
from qperturb_measures import BASELINE, PUBLISHED, Gallery, Setting
from tiny_blip2_scenes import Fact, Scene, gallery


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(1)
    return tiny.make_model().eval()


@pytest.fixture(scope="module")
def pictures() -> list[tuple[Scene, Fact]]:
    return gallery("test", 7, 0)


@pytest.fixture(scope="module")
def seen(model: Any, pictures: list[tuple[Scene, Fact]]) -> Gallery:
    return Gallery(model, pictures, 3)


def test_the_grid_is_the_issue_s() -> None:
    every = list(measures.settings())
    assert every[0] == BASELINE and every[0].alpha == 0
    assert PUBLISHED in every
    assert len(every) == len(set(every)) == 1 + 2 * 2 * 3 * 5
    assert {each.alpha for each in every} == {0, 1, 2, 4, 8, 16}


@pytest.mark.parametrize("setting", [BASELINE, PUBLISHED, Setting("reference_rows", "all", 0.5, 2)])
@torch.inference_mode()
def test_scores_are_those_of_one_pair_at_a_time(
    model: Any, seen: Gallery, setting: Setting
) -> None:
    itc, itm = seen.itc(setting), seen.itm(setting)
    assert itc.shape == (7, 7) and itm.shape == (7, 3)
    for picture in range(7):
        vision = seen.vision[picture : picture + 1]
        moved = perturbation(
            model,
            vision,
            [seen.boxes[setting.boxes][picture]],
            alpha=float(setting.alpha),
            n_pc=setting.n_pc,
            projector=setting.projector,
        )
        with perturbed(model, moved):
            queries = tiny.picture_embeddings(model, vision)[0]
            for text in range(7):
                score = (queries @ seen.texts[text]).max()
                assert itc[text, picture].item() == pytest.approx(score.item(), abs=1e-5)
                for column in (seen.lists[text] == picture).nonzero().flatten().tolist():
                    ids, mask = seen.ids[text : text + 1], seen.mask[text : text + 1]
                    logit = tiny.itm_logits(model, vision, ids, mask)[0, 1]
                    assert itm[text, column].item() == pytest.approx(logit.item(), abs=1e-4)


def test_right_says_whether_the_own_picture_is_first(seen: Gallery) -> None:
    right = seen.right(BASELINE)
    itc, itm = seen.itc(BASELINE).numpy(), seen.itm(BASELINE).numpy()
    lists = seen.lists.numpy()
    for row in range(7):
        assert right["t2i itc"][row] == (itc[row].argmax() == row)
        assert right["i2t itc"][row] == (itc[:, row].argmax() == row)
        assert right["t2i itm"][row] == (lists[row, itm[row].argmax()] == row)
        both = [itm[row, place] + itc[row, lists[row, place]] for place in range(3)]
        assert right["t2i itm+itc"][row] == (lists[row, int(np.argmax(both))] == row)


def test_attention_is_a_share(seen: Gallery) -> None:
    for setting in (BASELINE, PUBLISHED):
        looks = seen.attention(setting)
        assert looks.shape == (7, 64) and looks.min() >= 0
        assert (looks.sum(axis=1) <= 1 + 1e-5).all()
        assert 0 < seen.attention_on(looks) < 1
    everywhere = np.full((7, 64), 1 / 64, np.float32)
    areas = [
        sum((box[2] - box[0]) * (box[3] - box[1]) for box in boxes)
        for boxes in seen.boxes["mentioned"]
    ]
    assert seen.attention_on(everywhere) == pytest.approx(np.mean(areas), rel=1e-4)


def measured(base: list[int], moved: list[int]) -> reporting.Measured:
    right = {each: {"s": np.array(base, bool)} for each in measures.settings()}
    right[PUBLISHED] = {"s": np.array(moved, bool)}
    return right


def test_compare_counts_what_was_won_and_lost() -> None:
    seeds = [measured([0, 0, 1, 1], [1, 1, 1, 0]), measured([0, 0, 0, 1], [1, 1, 1, 1])]
    among = [np.ones(4, bool)] * 2
    without, with_, gain, changes, p = reporting.compare(seeds, "s", PUBLISHED, among)
    assert without == "37.5 (25.0 … 50.0)"
    assert with_ == "87.5 (75.0 … 100.0)"
    assert gain == "+50.0 (+25.0 … +75.0)"
    assert changes == "5 / 1"
    assert float(p) == pytest.approx(2 * (6 + 1) / 2**6, abs=0.005)


def test_nothing_changed_is_no_evidence() -> None:
    seeds = [measured([0, 1], [0, 1])]
    assert reporting.compare(seeds, "s", PUBLISHED, [np.ones(2, bool)])[3:] == ["0 / 0", "1"]


def test_every_query_is_in_one_bin_of_area() -> None:
    areas = [np.array([0.0039, 0.0156, 0.0352, 0.0625, 0.0039])]
    text = reporting.by_area([measured([0] * 5, [1] * 5)], areas, "s", PUBLISHED)
    counts = [int(line.split("|")[2]) for line in text.splitlines()[2:]]
    assert counts == [2, 1, 1, 1, 5]


def test_the_best_setting_is_that_of_the_highest_mean() -> None:
    assert reporting.best([measured([0, 0], [1, 0])], "s") == PUBLISHED


def test_a_page_keeps_what_stands_around_the_tables() -> None:
    page = f"# Title\n\n{study.BEGIN}\n\nold\n\n{study.END}\n\nafter\n"
    once = study.replaced(page, "new")
    assert once == f"# Title\n\n{study.BEGIN}\n\nnew\n\n{study.END}\n\nafter\n"
    assert study.replaced(once, "new") == once
    with pytest.raises(SystemExit, match="lacks"):
        study.replaced("# Title\n", "new")


def test_what_was_measured_is_not_measured_again(model: Any, tmp_path: Path) -> None:
    folder = tmp_path / "seed0"
    tiny.save_model(model, folder)
    (folder / "figures.json").write_text("{}", encoding="utf-8")
    out = tmp_path / "page.md"
    given = argparse.Namespace(
        size=4, val=1, test=2, depth=2, again=False, models=tmp_path, out=out
    )
    first = study.measured(folder, given)
    assert {split: len(first[split]) for split in ("val", "test")} == {"val": 61, "test": 61}
    (kept,) = folder.glob("study-*.json")
    assert json.loads(kept.read_text(encoding="utf-8")) == first
    (folder / "model.safetensors").unlink()
    assert study.measured(folder, given) == first
    text = study.report([first], given)
    assert text.count("| reference_rows | all | 0.5 |") == len(study.SCORES)
