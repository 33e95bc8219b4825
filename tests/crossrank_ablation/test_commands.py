"""``crossrank ablate``, ``compare`` and ``cache`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crossrank.cli import main
from toys.ablation import DATA, saved

GRID = """
[stages.one]
reranker = "noisy"
[stages.two]
reranker = "noisy"
seed = 2
fail = false
[grid]
stages = ["one", "two"]
variants = "add_one_in"
[statistics]
resamples = 99
[report]
queries = 1
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path / "data", 8)
    (folder / "study.toml").write_text(DATA + GRID)
    return folder / "study.toml"


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    if code == 2:
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
    return result


def test_a_study_prints_its_table(config: Path) -> None:
    shown = run("ablate", config, "-o", "out").stdout
    assert shown.startswith("t2i: 24 queries\n")
    assert shown.endswith("out/report.html\n")
    assert Path("out/table.txt").read_text() + "\nout/report.html\n" == shown


def test_json_counts_scorer_calls_per_cell(config: Path) -> None:
    record = json.loads(run("ablate", config, "-o", "out", "--json").stdout)
    assert [cell["name"] for cell in record["cells"]] == ["base", "one", "two"]
    assert [cell["scorer_calls"] for cell in record["cells"]] == [0, 1, 1]
    again = json.loads(run("ablate", "--resume", "out", "--json").stdout)
    assert again["scorer_calls"] == 0


def test_a_failed_cell_is_exit_code_1(config: Path) -> None:
    config.write_text(config.read_text().replace("fail = false", "fail = true"))
    result = run("ablate", config, "-o", "out", code=1)
    assert "crossrank: t2i two: " in result.stderr
    assert "out of luck" in result.stderr
    assert Path("out/result.json").is_file()
    assert "\ntwo   failed\n" in Path("out/table.txt").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Give a configuration and -o, or --resume."),
        (["x.toml"], "Give a configuration and -o, or --resume."),
        (["x.toml", "-o", "out"], "x.toml cannot be read: No such file"),
        (["--resume", "out"], "out holds no study"),
        (["x.toml", "--resume", "out"], "--resume takes no configuration"),
        (["x.toml", "-o", "out", "--cache", "c", "--no-cache"], "Give --score-cache or --no-cache"),
    ],
)
def test_wrong_usage(config: Path, args: list[str], says: str) -> None:
    assert says in run("ablate", *args, code=2).stderr


def test_bad_input_writes_nothing(config: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "x").write_text("")
    assert "holds 'x'" in run("ablate", config, "-o", "o", "--cache", "foreign", code=2).stderr
    config.write_text(config.read_text() + "[cache]\nlimit = '100B'\n")
    assert "one block of scores" in run("ablate", config, "-o", "o", code=2).stderr
    config.write_text(config.read_text().replace("add_one_in", "add_one"))
    said = run("ablate", config, "-o", "o", code=2).stderr
    assert f"{config}:" in said
    assert "did you mean 'add_one_in'" in said
    assert not Path("o").exists()


def test_compare_holds_two_results_against_each_other(config: Path) -> None:
    run("ablate", config, "-o", "a")
    config.write_text(config.read_text().replace("seed = 2", "seed = 2\nspread = 0.1"))
    run("ablate", config, "-o", "b")
    shown = run("compare", "a", "b/result.json").stdout
    assert shown.splitlines()[1].startswith("t2i base")
    record = json.loads(run("compare", "a", "b", "--json").stdout)
    pairs = {pair["name"]: pair for pair in record["pairs"]}
    assert pairs["one"]["comparisons"]["R@1"]["difference"] == 0
    two = pairs["two"]["comparisons"]["MRR"]
    assert two["difference"] == pytest.approx(
        pairs["two"]["after"]["MRR"] - pairs["two"]["before"]["MRR"]
    )
    assert two["wins"] + two["ties"] + two["losses"] == 24
    assert "p Holm" in run("compare", "a", "b", "--markdown").stdout


def test_compare_refuses_other_queries(config: Path, tmp_path: Path) -> None:
    run("ablate", config, "-o", "a")
    other = saved(tmp_path / "more", 9)
    (other / "study.toml").write_text(DATA + GRID)
    run("ablate", other / "study.toml", "-o", "b")
    said = run("compare", "a", "b", code=2).stderr
    assert "other queries (t2i: 24 and 27, 24 in both)" in said
    assert "cannot be read" in run("compare", "a", "nowhere.json", code=2).stderr


def test_the_cache_can_be_looked_at(config: Path, own_cache: Path) -> None:
    assert "0 blocks, 0 bytes" in run("cache").stdout
    assert not own_cache.exists()
    run("ablate", config, "-o", "a")
    record = json.loads(run("cache", "--json").stdout)
    assert record["folder"] == str(own_cache)
    (group,) = record["rerankers"]
    assert (group["reranker"], group["blocks"]) == ("noisy", 2)
    assert (
        group["bytes"]
        == record["bytes"]
        == sum(path.stat().st_size for path in own_cache.glob("*.scores"))
    )
    first = next(iter(own_cache.glob("*.scores")))
    first.write_bytes(first.read_bytes()[:-1])
    assert "removed: 1" in run("cache", "--verify").stdout
    assert "removed: 0" in run("cache", "--clear", "--reranker", "filip").stdout
    assert "removed: 1" in run("cache", "--clear").stdout
    assert "0 blocks, 0 bytes" in run("cache").stdout
    assert "is no folder" in run("cache", "--folder", "nowhere", code=2).stderr
    assert "Give --verify or --clear" in run("cache", "--verify", "--clear", code=2).stderr
