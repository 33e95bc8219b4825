"""A configuration is read, or refused in one line that says where and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, InputError, StoreError, UnknownIdError
from crossrank_ablation.config import read_study
from toys.ablation import DATA, TUNE, saved, split

STAGES = """
[stages.one]
reranker = "noisy"
depth = 5
[stages.two]
reranker = "noisy"
seed = 2
"""


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return read_study(path)


def test_defaults_and_paths(tmp_path: Path) -> None:
    study = read(tmp_path, DATA + STAGES + "[grid]\nstages = ['one', 'two']\n")
    assert study.metrics == ("R@1", "R@5", "R@10", "MRR")
    assert study.root == tmp_path
    assert study.encoders == (None,)
    assert study.significance.resamples == 9999
    assert [stage.reranker for stage in study.stages.values()] == ["noisy", "noisy"]


def test_root_and_encoder_are_filled_in(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made = split(4, name=name)
        made.queries.save(tmp_path / "data" / name / "q")
        made.gallery.save(tmp_path / "data" / name / "g")
    text = """
    [data]
    root = "data"
    [data.report]
    queries = "{encoder}/q"
    gallery = ["{encoder}/g"]
    qrels = "none"
    [stages.one]
    reranker = "noisy"
    [grid]
    encoder = ["a", "b"]
    """
    study = read(tmp_path, text)
    assert study.split("report", "b").queries.ids[0] == "b0.png#0"
    with pytest.raises(InputError, match=r"names \{encoder\}, but \[grid\] has no encoder"):
        study.split("report", None)


def test_features_of_several_collections_are_joined(tmp_path: Path) -> None:
    made = split(4)
    boxes = cr.Collection(reversed(made.gallery.ids), "image", labels=[["x"], ["y"], ["z"], ["w"]])
    config: dict[str, Any] = {
        "data": {
            "report": {
                "queries": made.queries,
                "gallery": [made.gallery, boxes],
                "qrels": made.qrels,
            }
        },
        "stages": {"noisy": {}},
        "grid": {"stages": ["noisy"]},
    }
    gallery = read_study(config).split("report", None).gallery
    assert gallery.ids == made.gallery.ids
    assert list(gallery["labels"]) == [["w"], ["z"], ["y"], ["x"]]
    short = cr.Collection(made.gallery.ids[:2], "image", labels=[["x"], ["y"]])
    config["data"]["report"]["gallery"] = [made.gallery, short]
    with pytest.raises(UnknownIdError, match=r"report\.gallery: no image has the id"):
        read_study(config).split("report", None)


GRID = "[grid]\nstages = ['one']\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("nmae = 'x'\n" + DATA + STAGES + GRID, "nmae", "no key 'nmae'; did you mean 'name'"),
        (DATA + "querys = 'x'\n" + STAGES + GRID, "querys", "did you mean 'queries'"),
        (STAGES + "deph = 3\n" + DATA + GRID, "deph", "'deph'; did you mean 'depth'?"),
        (STAGES + "sed = 3\n" + DATA + GRID, "sed", "did you mean 'seed'"),
        (DATA + STAGES + GRID + "stagse = 3\n", "stagse", "[grid] has no key 'stagse'"),
        (DATA + STAGES + GRID + "one.wieght = [3]\n", "one.wieght", "did you mean 'weight'?"),
        (DATA + STAGES + GRID + "two.weight = [3]\n", "two.weight", "no pipeline has that stage"),
        (DATA + STAGES + GRID + "one.weight = []\n", "one.weight", "grid.one.weight is empty"),
        (DATA + STAGES + "[grid]\nstages = ['on']\n", "stages", "'on'; did you mean 'one'?"),
        (DATA + STAGES + "[grid]\nstages = []\n", "stages", "has no stages"),
        (DATA + STAGES + "[grid]\nstages = ['one', 'one']\n", "stages", "names a stage twice"),
        (DATA + STAGES + GRID + "variants = 'order'\n", "variants", "did you mean 'orders'?"),
        (DATA + STAGES + GRID + "top_k = 0\n", "top_k", "give a whole number from 1"),
        (DATA + "[stages.nois]\n" + GRID, "[stages.nois]", "did you mean 'noisy'"),
        (DATA + STAGES + GRID + "[tune]\none.weight = [1]\n", "[tune]", "needs [data.tune]"),
        (DATA + TUNE + STAGES + GRID, "[data.tune]", "[data.tune] is not used"),
        (DATA + STAGES + GRID + "[statistics]\nresamples = -1\n", "[stat", "resamples is -1"),
        (DATA + STAGES + GRID + "[statistics]\nalpha = 2\n", "alpha", "between 0 and 1"),
        (DATA + STAGES + GRID + "[report]\nshown = 0\n", "shown", "give a whole number from 1"),
        ("metrics = ['R@x']\n" + DATA + STAGES + GRID, "metrics", "no measure 'R@x'"),
        ("metrics = []\n" + DATA + STAGES + GRID, "metrics", "metrics is empty"),
        ("directions = [2]\n" + DATA + STAGES + GRID, "directions", "give texts"),
        (DATA + STAGES, None, "there is no [grid], or it is empty"),
        (DATA + STAGES + "[grid]\n", "[grid]", "there is no [grid], or it is empty"),
        (DATA + GRID, None, "there are no stages"),
        (STAGES + GRID, None, "there is no [data.report]"),
        ("grid = 3\n" + DATA + STAGES, "grid", "grid is 3; it must be a table"),
        ("grid = [3]\n" + DATA + STAGES, "grid", "grid is 3; it must be a table"),
        (
            DATA + STAGES + GRID + "[slices]\nobjects_above = 'x'\n",
            "objects_above",
            "give a number",
        ),
        ("[data.report]\nqueries='x'\n" + STAGES + GRID, "[data", "has no 'gallery'"),
        (
            "[data.report]\nqueries = 7\ngallery = 'x'\nqrels = 'y'\n" + STAGES + GRID,
            "queries",
            "queries is 7; give a collection or its folder",
        ),
        ("data = 3\n" + STAGES + GRID, "data", "data is 3; it must be a table"),
        ("x = [", None, "is no TOML"),
    ],
)
def test_one_line_that_says_where(tmp_path: Path, text: str, line: str | None, says: str) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, text)
    said = str(error.value)
    assert says in said
    assert "\n" not in said
    if line is not None:
        rows = [number for number, row in enumerate(text.splitlines(), 1) if row.startswith(line)]
        assert said.startswith(f"{tmp_path / 'study.toml'}:{rows[-1]}: "), said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        read_study(tmp_path / "nothing.toml")


def test_overlapping_splits_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, 4)
    same = TUNE.replace("val/", "test/")
    text = DATA + same + STAGES + GRID + "[tune]\none.weight = [1, 2]\n"
    (folder / "study.toml").write_text(text)
    with pytest.raises(InputError, match=r"overlap \(t2i\): 12 query ids are in both, such as"):
        cr.ablate(folder / "study.toml")


def test_splits_that_share_relevant_items_only(tmp_path: Path) -> None:
    first, second = split(4), split(4)
    queries = cr.Collection(
        [f"other {id}" for id in second.queries.ids],
        "text",
        embedding=second.queries["embedding"],
    )
    qrels = {f"other {query}": item for query, item in dict(second.qrels).items()}  # type: ignore[arg-type]
    tune = cr.Split(queries, second.gallery, qrels)
    with pytest.raises(InputError, match="4 relevant item ids are in both"):
        cr.ablate(cr.Pipeline("noisy"), first, tune, search={"noisy.weight": [1, 2]})


def test_a_large_grid_asks_first(tmp_path: Path) -> None:
    folder = saved(tmp_path, 4)
    weights = ", ".join(str(n) for n in range(100))
    text = f"{DATA}{STAGES}[grid]\nstages = ['one', 'two']\none.weight = [{weights}]\n"
    (folder / "study.toml").write_text(text + f"two.weight = [{weights}]\n")
    with pytest.raises(CrossrankError) as error:
        cr.ablate(folder / "study.toml")
    said = str(error.value)
    assert "10,000 cells are up to 10,000 runs: at least" in said
    assert " to fuse and test, besides scoring 48 pairs or more with each of 2 rerankers" in said
    assert said.endswith("say --yes (yes=True) to run them, or make the grid smaller")
