"""``crossrank search``: the base run, and collections that do not go together."""

import json
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank._files.trec import read_run

from .conftest import Cli

Pair = tuple[Path, Path]


def test_the_base_run_is_the_nearest_neighbours(cli: Cli, collections: Pair) -> None:
    queries, gallery = (cr.Collection.open(folder) for folder in collections)
    sides = ("--queries", collections[0], "--gallery", collections[1])
    shown = cli("search", *sides, "--depth", 3, "--engine", "numpy", "-o", "run.trec").stdout
    assert shown == "run.trec: 4 queries, 3 candidates each of 6, t2i\n"
    run = read_run(Path("run.trec"))
    products = queries["embedding"] @ gallery["embedding"].T
    for row, query in enumerate(queries.ids):
        best = np.argsort(-products[row])[:3]
        assert list(run[query]) == [gallery.ids[column] for column in best]


def test_json_and_the_other_direction(cli: Cli, collections: Pair) -> None:
    sides = ("--queries", collections[1], "--gallery", collections[0])
    assert json.loads(cli("search", *sides, "-o", "run.trec", "--json").stdout) == {
        "output": "run.trec",
        "direction": "i2t",
        "queries": 6,
        "gallery": 4,
        "depth": 4,
    }


def test_an_existing_file_needs_force(cli: Cli, collections: Pair) -> None:
    sides = ("--queries", collections[0], "--gallery", collections[1])
    before = Path("base.trec").read_text()
    assert "--force" in cli("search", *sides, "-o", "base.trec", code=2).stderr
    assert Path("base.trec").read_text() == before
    cli("search", *sides, "-o", "base.trec", "--force")
    assert Path("base.trec").read_text() != before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--depth", "0"], "depth is 0"),
        (["--depth", "-3"], "depth is -3"),
        (["--queries", "gone"], "gone is not a folder"),
        (["--queries", "."], "has no collection.json"),
        (["-o", "no/such/run.trec"], "no/such is not a folder"),
        (["-o", "gallery"], "gallery is a folder"),
        (["--gallery", "narrow"], "both with the same encoder"),
        (["--gallery", "bare"], "compares the feature 'embedding'"),
        (["--gallery", "spaced"], "spaced has the id 'a b'"),
        (["--gallery", "nan"], "NaN"),
        (["--gallery", "short"], "embedding.npy has"),
        (["--gallery", "holed"], "lacks its file embedding.npy"),
        (["--gallery", "foreign"], "does not belong"),
    ],
)
def test_bad_input(cli: Cli, collections: Pair, options: list[str], says: str) -> None:
    rows = np.ones((2, 8), np.float32)
    cr.Collection("ab", "image", embedding=rows[:, :3]).save("narrow")
    cr.Collection("ab", "image").save("bare")
    cr.Collection(["a b", "c"], "image", embedding=rows).save("spaced")
    cr.Collection("ab", "image", embedding=rows * np.nan).save("nan")
    for name in ("short", "holed", "foreign"):
        cr.Collection("ab", "image", embedding=rows).save(name)
    (Path("short") / "embedding.npy").write_bytes(b"")
    (Path("holed") / "embedding.npy").unlink()
    (Path("foreign") / "photo.jpg").write_bytes(b"x")
    sides = ["--queries", "queries", "--gallery", "gallery", "-o", "run.trec"]
    assert says in cli("search", *sides, *options, code=2).stderr
    assert not Path("run.trec").exists()
