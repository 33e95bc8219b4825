"""Benchmarks from files to figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    FormatError,
    InputError,
    ParameterError,
    StoreError,
)
from crossrank.evaluation import winoground

from .conftest import item, write

ENCODER = "bench-colours"


def test_choices_per_category_with_ties_and_what_is_missing(
    sugarcrepe: Path, pictures: Path
) -> None:
    result = cr.bench("sugarcrepe", sugarcrepe, encoder=ENCODER, images=pictures)
    swap, add, every = (result.row(name) for name in ("swap_att", "add_obj", "all"))
    assert (swap.items, swap.value, swap.ties) == (2, 50.0, 0)
    assert (add.items, add.value, add.ties) == (2, 50.0, 1)
    assert (every.items, every.value, every.ties, every.chance) == (4, 50.0, 1, 50.0)
    assert 0 < every.low < 50 < every.high < 100
    skipped = result.to_dict()["skipped"]
    assert skipped == {"count": 1, "items": [{"id": "swap_att:7", "picture": "lost.png"}]}


def test_a_pipeline_stands_beside_the_base(sugarcrepe: Path, pictures: Path) -> None:
    stage = cr.Stage("filip", fusion=cr.WeightedSum(0.5))
    result = cr.bench("sugarcrepe", sugarcrepe, pipeline=stage, encoder=ENCODER, images=pictures)
    assert result.systems == ("base", "filip")
    assert result.row("all", system="filip").gain == 0.0
    assert result.row("all", system="filip").p == 1.0
    assert result.row("all", system="base").gain is None
    for base, fused in zip(*result.scores.values(), strict=True):
        # of two texts both scores are equal here, so that fusion keeps their order
        assert (np.sign(base[0, 0] - base[0, 1]) == np.sign(fused[0, 0] - fused[0, 1])).all()


def test_fusion_within_lists_is_refused(sugarcrepe: Path, pictures: Path) -> None:
    for fusion in (cr.RRF(), cr.WeightedSum(1.0, "rank")):
        with pytest.raises(ParameterError, match="zscore"):
            cr.bench(
                "sugarcrepe",
                sugarcrepe,
                pipeline=cr.Stage("filip", fusion=fusion),
                encoder=ENCODER,
                images=pictures,
            )


def quartets(pictures: Path) -> list[dict[str, Any]]:
    def one(id: int, tag: str, *entries: str) -> dict[str, Any]:
        keys = ("image_0", "caption_0", "image_1", "caption_1")
        return {"id": id, "tag": tag, **dict(zip(keys, entries, strict=True))}

    return [
        one(0, "Object", "red", "red", "blue", "blue"),
        one(1, "Relation", "red", "blue", "blue", "red"),
        one(2, "Object", "red", "red thing", "blue", "red toy"),  # the same colours: a tie
    ]


def test_winoground_by_matrix_equals_the_metric(tmp_path: Path, pictures: Path) -> None:
    lines = "\n".join(json.dumps(each) for each in quartets(pictures))
    path = tmp_path / "examples.jsonl"
    path.write_text(lines, encoding="utf-8")
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (3, 2, 2)).astype(float)
    result = cr.bench("winoground", tmp_path, scores=scores)
    expected = winoground(scores)
    for measure in ("text", "image", "group"):
        assert result.row("all", measure).value == pytest.approx(getattr(expected, measure))
    assert result.row("all").ties == expected.ties
    assert result.row("all", "group").chance == pytest.approx(100 / 6)
    by_encoder = cr.bench("winoground", tmp_path, encoder=ENCODER)
    assert by_encoder.row("Object", "group").value == 50.0
    assert by_encoder.row("Object", "group").ties == 1
    assert by_encoder.row("Relation", "text").value == 0.0


@pytest.mark.parametrize("form", ["list", "object", "items"])
def test_cola_s_multi_objects_in_every_form(tmp_path: Path, pictures: Path, form: str) -> None:
    rows: list[Any] = [["http://x.org/a/red.png?size=1", "red", "blue.png", "blue"]]
    data: Any = rows
    if form == "object":
        data = {"12": rows[0]}
    if form == "items":
        data = [dict(zip(("image1", "caption1", "image2", "caption2"), rows[0], strict=True))]
    write(tmp_path / "cola" / "COLA_multiobjects_matching_benchmark.json", data)
    result = cr.bench("cola", tmp_path, encoder=ENCODER, images=pictures)
    assert result.row("all", "image").value == 100.0
    assert [case.id for case in result.benchmark.cases] == ["12" if form == "object" else "0"]


@pytest.mark.parametrize("form", ["dict", "list"])
def test_cola_s_single_objects_by_average_precision(
    tmp_path: Path, pictures: Path, form: str
) -> None:
    labels = ["red thing", "green thing", "never"]
    rows = [
        ["red.png", {"thing": ["red"]}, [1, 0, 0], [1, 1, 1]],
        ["green.png", {}, [0, 0, 0], [1, 1, 0]],
        ["blue.png", [0, 1, 0], [0, 1, 0]],  # without objects, as PACO has it
    ]
    data: Any = {"labels": labels, "data": rows} if form == "dict" else [labels, rows]
    write(tmp_path / "data" / "COLA_singleobjects_benchmark_GQA.json", data)
    result = cr.bench("cola_single", tmp_path, encoder=ENCODER, images=pictures)
    assert result.row("all").measure == "AP"
    # red: right at once; green: green.png is first and not marked, so blue ties with red after it
    assert result.row("all").value == pytest.approx(100 * (1 + 1 / 3) / 2, abs=1e-6)
    assert "1 of 3 classes" in result.benchmark.notes[0]


def test_aro_cuts_pictures_to_their_boxes(tmp_path: Path) -> None:
    from PIL import Image

    both = Image.new("RGB", (8, 4), (255, 0, 0))
    both.paste((0, 0, 255), (4, 0, 8, 4))
    both.save(tmp_path / "1.png")
    box = {"bbox_x": 4, "bbox_y": 0, "bbox_w": 4, "bbox_h": 4}
    write(
        tmp_path / "visual_genome_relation.json",
        [{"image_path": "1.png", "true_caption": "blue", "false_caption": "red", **box}],
    )
    write(
        tmp_path / "visual_genome_attribution.json",
        [{"image_path": "1.png", "true_caption": "red blue", "false_caption": "green"}],
    )
    result = cr.bench("aro", tmp_path, encoder=ENCODER)
    assert {row.category: row.value for row in result.rows} == {
        "attribution": 100.0,
        "relation": 100.0,
        "all": 100.0,
    }


def test_orders_of_a_caption_s_words(tmp_path: Path, pictures: Path) -> None:
    lines = [
        {"filename": "red.png", "captions": ["a red dog runs on the green grass", "other"]},
        {"filename": "red.png", "captions": ["red"]},
    ]
    text = "\n".join(json.dumps(each) for each in lines)
    (tmp_path / "captions.jsonl").write_text(text, encoding="utf-8")
    result = cr.bench("orders", tmp_path, encoder=ENCODER, images=pictures)
    (case,) = result.benchmark.cases
    texts = [result.benchmark.texts[place] for place in case.texts]
    assert texts[0] == lines[0]["captions"][0] and len(set(texts)) == len(texts) >= 4
    assert all(sorted(each.split()) == sorted(texts[0].split()) for each in texts)
    assert result.row("all").value == 0.0 and result.row("all").ties == 1  # a bag of words
    assert "1 captions" in result.benchmark.notes[0]


def test_scores_per_category(sugarcrepe: Path) -> None:
    scores = {"swap_att": [[2, 1], [1, 2], [1, 1]], "add_obj": [[5, 4], [4, 5]]}
    result = cr.bench("sugarcrepe", sugarcrepe, scores=scores)
    assert result.row("swap_att").value == pytest.approx(100 / 3)
    assert result.row("swap_att").ties == 1 and result.row("add_obj").value == 50.0


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((5, 3)),
        np.full((5, 2), np.nan),
        {"swap_att": np.zeros((3, 2))},
        [["a", "b"]],
    ],
    ids=["shape", "nan", "category", "words"],
)
def test_scores_that_do_not_fit(sugarcrepe: Path, scores: Any) -> None:
    with pytest.raises(InputError, match="bench sugarcrepe"):
        cr.bench("sugarcrepe", sugarcrepe, scores=scores)


def test_an_encoder_of_one_side_is_refused(sugarcrepe: Path, pictures: Path) -> None:
    with pytest.raises(FeatureMismatchError, match=r"bench-pictures-only.*texts"):
        cr.bench("sugarcrepe", sugarcrepe, encoder="bench-pictures-only", images=pictures)


def test_without_any_picture_it_says_where_it_looked(sugarcrepe: Path) -> None:
    with pytest.raises(InputError, match="--images"):
        cr.bench("sugarcrepe", sugarcrepe, encoder=ENCODER)


@pytest.mark.parametrize(
    ("name", "file", "data"),
    [
        ("sugarcrepe", "add_att.json", {"0": {"filename": "a.png", "caption": "x"}}),
        ("sugarcrepe", "add_att.json", 3),
        ("cola", "multi.json", [["a.png", "x", "b.png"]]),
        ("cola", "multi.json", [{"image1": "a.png"}]),
        ("cola-single", "single.json", {"labels": ["a"]}),
        ("cola-single", "single.json", [["a"], [["x.png", [1, 0], [1]]]]),
        ("winoground", "examples.json", [{"image_0": "a"}]),
        ("winoground", "examples.json", ["a"]),
        ("aro", "visual_genome_relation.json", [{"image_path": "a.png"}]),
        ("orders", "captions.json", [{"filename": "a.png"}]),
        ("orders", "orders.json", [{"filename": "a.png", "caption_options": ["x"]}]),
    ],
)
def test_damaged_entries_are_named(tmp_path: Path, name: str, file: str, data: Any) -> None:
    write(tmp_path / file, data)
    with pytest.raises(FormatError, match=f"bench {name}"):
        cr.bench(name, tmp_path, encoder=ENCODER)


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "multi.json").write_text("{", encoding="utf-8")
    with pytest.raises(FormatError, match="JSON"):
        cr.bench("cola", tmp_path)


@pytest.mark.parametrize("name", ["sugarcrep", "flickr"])
def test_unknown_benchmarks(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no benchmark"):
        cr.bench(name, tmp_path)


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="sugarcrepe"):
            cr.bench("sugarcrepe", folder)
    write(tmp_path / "add_att.json", {})
    with pytest.raises(InputError, match="no case"):
        cr.bench("sugarcrepe", tmp_path)


def test_a_name_does_not_lead_out_of_the_folders(tmp_path: Path, pictures: Path) -> None:
    data = tmp_path / "inner"
    write(data / "add_att.json", {"0": item("../pictures/red.png", "red", "blue")})
    with pytest.raises(InputError, match="none of its 1 cases"):
        cr.bench("sugarcrepe", data, encoder=ENCODER)


def test_the_page_shows_what_was_missed(sugarcrepe: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments: dict[str, Any] = {"encoder": ENCODER, "images": pictures, "out": out}
    cr.bench("sugarcrepe", sugarcrepe, **arguments)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "swap_att:3" in page and "add_obj:0" in page and "swap_att:0" not in page
    assert page.count("data:image/jpeg") == 2 and "a tie" in page
    cases = [json.loads(line) for line in (out / "cases.jsonl").read_text().splitlines()]
    assert len(cases) == 4 and cases[0]["right"]["base"] == {"accuracy": 0.0}
    assert json.loads((out / "result.json").read_text())["skipped"]["count"] == 1
    with pytest.raises(StoreError, match="--force"):
        cr.bench("sugarcrepe", sugarcrepe, **arguments)
    cr.bench("sugarcrepe", sugarcrepe, force=True, **arguments)


def test_the_command(sugarcrepe: Path, pictures: Path, tmp_path: Path) -> None:
    common = ["bench", "sugarcrepe", "--data", str(sugarcrepe), "--images", str(pictures)]
    stages = ["--pipeline", "filip:weight=0.5 filip:weight=0.25"]
    run = CliRunner().invoke(main, [*common, *stages, "--encoder", ENCODER, "--json"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert found["systems"] == ["base", "filip+filip"] and found["skipped"]["count"] == 1
    figures = {(row["system"], row["category"]): row["value"] for row in found["rows"]}
    assert figures["base", "all"] == 50.0
    table = CliRunner().invoke(main, [*common, "--encoder", ENCODER])
    assert "swap_att:7 (lost.png)" in table.output and "swap_att" in table.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--encoder", "bench-pictures-only"],
        ["--encoder", "nobody"],
        ["--pipeline", "nobody"],
        ["--pipeline", "filip:fusion=rrf"],
        ["--scores", "absent.npy"],
        ["--images", "absent"],
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_one_line(sugarcrepe: Path, arguments: list[str]) -> None:
    run = CliRunner().invoke(main, ["bench", "sugarcrepe", "--data", str(sugarcrepe), *arguments])
    assert run.exit_code == 2 and "Traceback" not in run.output


def test_scores_from_a_file(sugarcrepe: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", swap_att=np.eye(3)[:, :2], add_obj=np.zeros((2, 2)))
    result = cr.bench("sugarcrepe", sugarcrepe, scores=tmp_path / "s.npz")
    assert result.row("swap_att").value == pytest.approx(100 / 3)
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(CrossrankError, match=r"bad\.npy"):
        cr.bench("sugarcrepe", sugarcrepe, scores=tmp_path / "bad.npy")
