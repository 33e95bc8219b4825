"""``crossrank rerank`` and ``explain``: the same as the API, and every wrong input one line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank._files.trec import read_run

from .conftest import Cli

Pair = tuple[Path, Path]
SIDES = ("--queries", "queries", "--gallery", "gallery")
RERANK = ("rerank", "--run", "base.trec", *SIDES)
EXPLAIN = ("explain", *SIDES, "--query", "t1", "--stage", "toy")


def expected(stage: cr.Stage, **options: Any) -> cr.Rankings:
    return cr.Pipeline(stage).rerank(
        cr.Candidates.from_trec("base.trec"),
        cr.Collection.open("queries"),
        cr.Collection.open("gallery"),
        **options,
    )


def test_the_run_is_that_of_the_api(cli: Cli, collections: Pair) -> None:
    options = ("--stage", "toy:depth=3,weight=0.5,normalise=minmax,sign=-2", "--top-k", 3)
    shown = cli(*RERANK, *options, "-o", "out.trec").stdout
    fusion = cr.WeightedSum(0.5, "minmax")
    rankings = expected(cr.Stage("toy", 3, fusion, {"sign": -2}), top_k=3)
    rankings.to_trec("expected.trec")
    assert Path("out.trec").read_text() == Path("expected.trec").read_text()
    moved = sum(ranking[0].base_rank != 1 for ranking in rankings.values())
    assert shown == (
        f"out.trec: 4 lists reranked by toy (t2i); {moved} of 4 have another candidate in first "
        "place\n"
    )


def test_two_stages_and_every_resource(cli: Cli, collections: Pair) -> None:
    cli(
        *RERANK,
        *("--stage", "toy:fusion=rrf,k=10", "--stage", "toy_blunt:depth=2,fusion=replace"),
        *("--workers", 2, "--threads", 1, "--memory-budget", "1MB"),
        *("--plugin-cache", "cache", "--dtype", "bfloat16", "--on-error", "base_order"),
        *("-o", "out.trec"),
    )
    stages = [cr.Stage("toy", fusion=cr.RRF(10)), cr.Stage("toy_blunt", 2, cr.Replace())]
    rankings = cr.Pipeline(stages).rerank(
        cr.Candidates.from_trec("base.trec"),
        cr.Collection.open("queries"),
        cr.Collection.open("gallery"),
    )
    assert {query: list(members) for query, members in read_run(Path("out.trec")).items()} == {
        query: list(ranking.ids) for query, ranking in rankings.items()
    }


@pytest.mark.parametrize("command", [RERANK, (*EXPLAIN, "--candidate", "i1")])
def test_the_options_reach_the_run(
    cli: Cli, collections: Pair, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    asked: list[cr.RunOptions] = []

    def stop(*sides: Any, options: cr.RunOptions, **others: Any) -> None:
        asked.append(options)
        raise cr.errors.InputError("far enough")

    monkeypatch.setattr(cr.Pipeline, "rerank", stop)
    monkeypatch.setattr(cr.Pipeline, "explain", stop)
    shared: tuple[object, ...] = (
        "--threads",
        3,
        "--dtype",
        "float16",
        "--device",
        "meta",
        "--cache",
        "kept",
    )
    wanted: dict[str, Any] = {
        "threads": 3,
        "dtype": "float16",
        "device": "meta",
        "cache_folder": Path("kept"),
    }
    if command is RERANK:
        shared += ("--stage", "toy", "-o", "out.trec", "--engine", "ray", "--workers", 2)
        shared += ("--ray-address", "auto", "--gpus-per-worker", 0.5, "--memory-budget", "2GB")
        wanted |= {"workers": 2, "engine": "ray", "ray_address": "auto", "gpus_per_worker": 0.5}
        wanted |= {"memory_budget": "2GB", "progress": False}
    cli(*command, *shared, code=2)
    assert asked == [cr.RunOptions(**wanted)]


def test_json_holds_every_hit_with_its_base_score_and_trace(cli: Cli, collections: Pair) -> None:
    shown = cli(*RERANK, "--stage", "toy:depth=2", "--json").stdout
    document = json.loads(shown)
    assert {key: document[key] for key in ("direction", "stages")} == {
        "direction": "t2i",
        "stages": ["toy"],
    }
    rankings = expected(cr.Stage("toy", 2))
    for record, (query, ranking) in zip(document["queries"], rankings.items(), strict=True):
        assert record["id"] == query
        assert record["hits"] == [json.loads(json.dumps(hit.to_dict())) for hit in ranking]
    assert len(shown.splitlines()) == len(rankings) + 2


def test_a_threshold_of_zero_counts(cli: Cli, collections: Pair) -> None:
    options = ("--stage", "toy", "--score-threshold", 0, "--json")
    scores = [
        hit["score"]
        for record in json.loads(cli(*RERANK, *options).stdout)["queries"]
        for hit in record["hits"]
    ]
    assert 0 < len(scores) < 16
    assert min(scores) >= 0
    none = json.loads(cli(*RERANK, "--stage", "toy", "--score-threshold", 99, "--json").stdout)
    assert [record["hits"] for record in none["queries"]] == [[]] * 4


def test_an_empty_run(cli: Cli, collections: Pair) -> None:
    Path("base.trec").write_text("")
    for output in (("-o", "out.trec"), ("--json",)):
        told = cli(*RERANK, "--stage", "toy", *output, code=2).stderr
        assert told == ("crossrank: base.trec holds no line of a run; check what wrote it\n")
    assert not Path("out.trec").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--stage", "toi"], "no reranker is called 'toi'; did you mean 'toy'"),
        (["--stage", "toy_broken"], "could not be loaded: ImportError"),
        (["--stage", "toy:sgin=1"], "has no parameter 'sgin'; did you mean 'sign'"),
        (["--stage", "toy:sign=0"], "sign is 0"),
        (["--stage", "toy:depth=0"], "depth is 0"),
        (["--stage", "toy:self=1"], "has no parameter 'self'"),
        (["--stage", "toy:behave=not-finite"], "scores must be finite"),
        (["--stage", "toy:behave=raise"], "RuntimeError: out of luck"),
        (["--stage", "toy:behave=shape"], "of shape (4, 1)"),
        (["--stage", "toy:behave=mutate"], "read-only"),
        (["--stage", "toy", "--top-k", "0"], "top_k is 0"),
        (["--stage", "toy", "--score-threshold", "nan"], "score_threshold is nan"),
        (["--stage", "toy", "--workers", "0"], "workers is 0"),
        (["--stage", "toy", "--threads", "0"], "threads is 0"),
        (["--stage", "toy", "--memory-budget", "lots"], "'lots' cannot be read"),
        (["--stage", "toy", "--queries", "gallery", "--gallery", "queries"], "swap queries and"),
        (["--stage", "toy", "--gallery", "fewer"], "no image has the id"),
        (["--stage", "toy", "--queries", "others"], "no text has the id 't0'"),
        (["--stage", "toy", "--gallery", "bare"], "needs the feature 'embedding' of the gallery"),
        (["--stage", "toy", "--gallery", "narrow"], "rows of (8,) and the gallery rows of (3,)"),
        (["--stage", "toy", "--run", "spaced.trec"], "spaced.trec:1 has 7 fields instead of 6"),
        (["--stage", "toy", "--run", "nan.trec"], "nan.trec:1 has 'nan' where a finite number"),
        (["--stage", "toy", "--run", "twice.trec"], "twice.trec:2 lists 'i0.jpg' for 't0' again"),
        (["--stage", "toy", "--run", "binary.trec"], "binary.trec cannot be read"),
        (["--stage", "toy", "--run", "gone.trec"], "gone.trec cannot be read"),
        (["--stage", "toy", "--run", "gallery"], "cannot be read"),
        (["--stage", "toy_blunt", "--queries", "gallery", "--gallery", "queries"], "swap"),
        (["--stage", "toy", "-o", "base.trec"], "base.trec exists already"),
        (["--stage", "toy", "-o", "/dev/null", "--force"], "/dev/null is no regular file"),
        ([], "Missing option '--stage'"),
    ],
)
def test_bad_input(cli: Cli, collections: Pair, options: list[str], says: str) -> None:
    gallery = cr.Collection.open("gallery")
    gallery.take([4, 5]).save("fewer")
    cr.Collection(gallery.ids, "image").save("bare")
    gallery.with_features(embedding=gallery["embedding"][:, :3]).save("narrow")
    cr.Collection(["x"], "text", embedding=gallery["embedding"][:1]).save("others")
    Path("spaced.trec").write_text("t0 Q0 my photo.jpg 1 0.5 x\n")
    Path("nan.trec").write_text("t0 Q0 i0.jpg 1 nan x\n")
    Path("twice.trec").write_text("t0 Q0 i0.jpg 1 0.5 x\nt0 Q0 i0.jpg 2 0.4 x\n")
    Path("binary.trec").write_bytes(b"\xff\xfe\x00")
    before = sorted(Path().iterdir())
    assert says in cli(*RERANK, "-o", "out.trec", *options, code=2).stderr
    assert sorted(Path().iterdir()) == before


def test_a_reranker_that_does_not_do_this_direction(cli: Cli, collections: Pair) -> None:
    Path("i2t.trec").write_text("i0.jpg Q0 t0 1 0.5 x\n")
    sides = ("--queries", "gallery", "--gallery", "queries", "--stage", "toy_blunt")
    error = cli("rerank", "--run", "i2t.trec", *sides, "-o", "out.trec", code=2).stderr
    assert "does t2i, not i2t" in error


def test_without_an_output_only_json(cli: Cli, collections: Pair) -> None:
    assert "Missing option '-o'" in cli(*RERANK, "--stage", "toy", code=2).stderr


def test_a_full_disk_leaves_the_old_run(
    cli: Cli, collections: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out.trec").write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(Path().iterdir())
    error = cli(*RERANK, "--stage", "toy", "-o", "out.trec", "--force", code=2).stderr
    assert "free some space" in error
    assert Path("out.trec").read_text() == "old"
    assert sorted(Path().iterdir()) == before


def test_explain_as_text(cli: Cli, collections: Pair) -> None:
    lines = cli(*EXPLAIN, "--candidate", "i0.jpg", "--candidate", "i5.jpg").stdout.splitlines()
    assert lines[0] == "query t1: two dogs"
    assert lines[2].startswith("i0.jpg  toy ")
    assert lines[3].split() == ["query", "part", "candidate", "part", "box", "weight"]
    assert lines[4].startswith("dog         patch 3         0.00 0.25 0.50 1.00")
    assert [line for line in lines if line.startswith("i5.jpg")]


def test_explain_the_top_of_a_run_as_json(cli: Cli, collections: Pair) -> None:
    document = json.loads(cli(*EXPLAIN, "--run", "base.trec", "--top", 2, "--json").stdout)
    assert document["query"] == "t1"
    evidence = document["stages"]["toy"]
    assert [each["candidate_id"] for each in evidence] == ["i1.jpg", "i2.jpg"]
    dog, the = evidence[0]["links"]
    assert dog["candidate_box"] == [0.0, 0.25, 0.5, 1.0]
    assert isinstance(dog["weight"], float)
    assert the["weight"] is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "either --candidate or --run"),
        (["--candidate", "i0.jpg", "--run", "base.trec"], "either --candidate or --run"),
        (["--candidate", "i9.jpg"], "'i9.jpg' is not among"),
        (["--candidate", "i0.jpg", "--candidate", "i0.jpg"], "twice"),
        (["--candidate", "i0.jpg", "--query", "t9"], "no text has the id 't9'"),
        (["--run", "base.trec", "--query", "t9"], "no text has the id 't9'"),
        (["--run", "part.trec"], "part.trec has no query 't1'"),
        (["--run", "base.trec", "--top", "0"], "top is 0"),
        (["--run", "gone.trec"], "cannot be read"),
    ],
)
def test_bad_explain(cli: Cli, collections: Pair, options: list[str], says: str) -> None:
    Path("part.trec").write_text("t0 Q0 i0.jpg 1 0.5 x\n")
    assert says in cli(*EXPLAIN, *options, code=2).stderr


def test_a_reranker_without_evidence(cli: Cli, collections: Pair) -> None:
    blunt = ("explain", *SIDES, "--query", "t1", "--stage", "toy_blunt", "--candidate", "i0.jpg")
    assert "toy_blunt explains nothing" in cli(*blunt, code=2).stderr
    both = cli(*blunt, "--stage", "toy").stdout
    assert "i0.jpg  toy " in both


def test_a_run_in_a_folder_goes_on(cli: Cli, collections: Pair) -> None:
    cli(*RERANK, "--stage", "toy", "-o", "out.trec")
    cli(*RERANK, "--stage", "toy", "--out", "run")
    assert Path("run/run.trec").read_text() == Path("out.trec").read_text()
    assert sorted(path.name for path in Path("run").iterdir()) == [
        "lock",
        "rankings.safetensors",
        "run.json",
        "run.trec",
    ]
    assert "resume it" in cli(*RERANK, "--stage", "toy", "--out", "run", code=2).stderr
    cli(*RERANK, "--stage", "toy", "--out", "run", "--resume")
    other = cli(*RERANK, "--stage", "toy", "--top-k", 1, "--out", "run", "--resume", code=2)
    assert "another run: top_k differ" in other.stderr
    alone = cli(*RERANK, "--stage", "toy", "-o", "other.trec", "--resume", code=2)
    assert "name it with --out" in alone.stderr


def test_an_interrupted_run_in_a_folder_says_how_to_go_on(
    cli: Cli, collections: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("crossrank._engine.work.checked_scores", _interrupt)
        error = cli(*RERANK, "--stage", "toy", "--out", "run", code=130).stderr
    assert "--out run --resume goes on" in error
    cli(*RERANK, "--stage", "toy", "--out", "run", "--resume")


def _interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt
