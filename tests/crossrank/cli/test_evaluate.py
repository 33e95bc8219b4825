"""``crossrank evaluate``: the same numbers as the API, one direction or both, clear refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossrank as cr
from crossrank._files.trec import read_run, write_qrels, write_run
from crossrank.cli._commands.evaluate import measure_names
from crossrank.evaluation import BothDirections, evaluate

from .conftest import Cli

T2I = ("--qrels", "t2i.qrels", "--direction", "t2i")
I2T = ("--qrels", "i2t.qrels", "--direction", "i2t")


@pytest.fixture(autouse=True)
def runs(cli: Cli) -> None:
    """Write four runs over twelve texts of six images, and qrels of both directions."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=(6, 12))
    better = base + 2 * np.repeat(np.eye(6), 2, axis=1)
    for name, matrix in (("base", base), ("better", better)):
        for direction in ("t2i", "i2t"):
            found = cr.Candidates.from_similarity(
                matrix,
                direction,
                image_ids=[f"i{n}" for n in range(6)],
                text_ids=[f"t{n}" for n in range(12)],
            )
            write_run(Path(f"{name}_{direction}.trec"), found.to_run())
    write_qrels(Path("t2i.qrels"), {f"t{n}": {f"i{n // 2}": 1} for n in range(12)})
    write_qrels(
        Path("i2t.qrels"), {f"i{n}": {f"t{2 * n + k}": 1 for k in (0, 1)} for n in range(6)}
    )


def api(direction: str, *metrics: str) -> cr.evaluation.Evaluation:
    named = {name: f"{name}_{direction}.trec" for name in ("base", "better")}
    return evaluate(named, f"{direction}.qrels", metrics or ("R@1", "R@5", "R@10"))


def test_one_direction_as_json(cli: Cli) -> None:
    shown = cli(
        *("evaluate", "base=base_t2i.trec", "better=better_t2i.trec", *T2I),
        *("--metrics", "R@1, R@5,R@10", "--json"),
    ).stdout
    expected = api("t2i").to_dict()
    assert json.loads(shown) == {**expected, "direction": "t2i"}
    assert expected["cluster_count"] == 6
    assert expected["gains"]["better"]["R@1"]["p_value"] is not None


def test_the_table_names_baseline_gain_and_interval(cli: Cli) -> None:
    shown = cli(
        *("evaluate", "base=base_t2i.trec", "better=better_t2i.trec", *T2I),
        *("--baseline", "better", "--metrics", "R@1,nDCG@10"),
    ).stdout
    assert shown.startswith("t2i: 12 queries")
    assert "95 %" in shown
    assert "gain over 'better'" in shown
    assert "6 clusters of queries" in shown


def test_markdown_and_no_tests(cli: Cli) -> None:
    runs = ("base=base_t2i.trec", "better=better_t2i.trec")
    shown = cli("evaluate", *runs, *T2I, "--markdown", "--resamples", 0).stdout
    assert "| base |" in shown
    assert "95 %" not in shown


def test_the_direction_is_a_label(cli: Cli) -> None:
    shown = cli("evaluate", "base=base_t2i.trec", "--qrels", "t2i.qrels", "--json").stdout
    assert json.loads(shown)["direction"] is None


def test_both_directions_whatever_the_order(cli: Cli) -> None:
    runs = [f"{name}={name}_{each}.trec" for each in ("i2t", "t2i") for name in ("base", "better")]
    metrics = ("--metrics", "R@1,R@5,R@10,RSUM")
    expected = BothDirections(api("t2i"), api("i2t"))
    for order in ((*T2I, *I2T), (*I2T, *T2I)):
        shown = json.loads(cli("evaluate", *runs, *order, *metrics, "--json").stdout)
        assert shown["rsum"] == expected.rsum
        assert shown["t2i"]["rows"] == expected.to_dict()["t2i"]["rows"]
        assert shown["i2t"]["direction"] == "i2t"
    text = cli("evaluate", *runs, *T2I, *I2T, *metrics).stdout
    assert "RSUM" in text
    assert f"{expected.rsum['better']:.2f}" in text
    assert "| RSUM |" in cli("evaluate", *runs, *T2I, *I2T, *metrics, "--markdown").stdout


def test_what_is_missing_is_told_once_below_the_table(cli: Cli) -> None:
    lines = Path("base_t2i.trec").read_text().splitlines(keepends=True)
    Path("base_t2i.trec").write_text("".join(lines[6:]))
    result = cli("evaluate", "base=base_t2i.trec", *T2I)
    assert "* base: queries without a list: 1; they count as misses" in result.stdout
    assert result.stderr == ""


def test_queries_of_both_directions_that_share_their_ids(cli: Cli) -> None:
    for name in ("t2i", "i2t"):
        lines = Path(f"base_{name}.trec").read_text().replace("t", "").replace("i", "")
        Path(f"base_{name}.trec").write_text(lines.replace("crossrank", "x"))
        Path(f"{name}.qrels").write_text(
            Path(f"{name}.qrels").read_text().replace("t", "").replace("i", "")
        )
    runs = ("base=base_t2i.trec", "base=base_i2t.trec")
    shown = json.loads(cli("evaluate", *runs, *T2I, *I2T, "--resamples", 0, "--json").stdout)
    assert (shown["t2i"]["queries"], shown["i2t"]["queries"]) == (12, 6)


def test_a_run_that_fits_both_alike(cli: Cli) -> None:
    Path("both.trec").write_text("t0 Q0 zz 1 0.5 x\ni0 Q0 zz 1 0.5 x\n")
    error = cli("evaluate", "a=both.trec", *T2I, *I2T, code=2).stderr
    assert "fits t2i.qrels and i2t.qrels alike" in error


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Missing argument"),
        (["base_t2i.trec", *T2I], "is not NAME=RUN; name the run, such as base=base_t2i.trec"),
        (["=base_t2i.trec", *T2I], "is not NAME=RUN"),
        (["base=", *T2I], "is not NAME=RUN"),
        (["base=gone.trec", *T2I], "gone.trec cannot be read"),
        (["base=empty.trec", *T2I], "empty.trec lists nothing"),
        (["base=base_t2i.trec"], "Missing option '--qrels'"),
        (["base=base_t2i.trec", "--qrels", "gone"], "gone cannot be read"),
        (["base=base_t2i.trec", "--qrels", "base_t2i.trec"], "6 fields instead of 4"),
        (["base=base_t2i.trec", "--qrels", "empty.trec"], "the qrels hold no query"),
        (["base=base_t2i.trec", *I2T], "give the qrels of the same direction"),
        (["base=base_t2i.trec", *T2I, "--direction", "t2i"], "1 --qrels and 2 --direction"),
        (["base=base_t2i.trec", *T2I, "--qrels", "i2t.qrels"], "2 --qrels and 1 --direction"),
        (["base=base_t2i.trec", *T2I, *T2I], "for the two directions t2i and i2t"),
        (["base=base_t2i.trec", *T2I, *I2T], "no run belongs to i2t.qrels"),
        (["a=strange.trec", *T2I, *I2T], "neither t2i.qrels nor i2t.qrels knows its queries"),
        (["a=base_t2i.trec", "a=better_t2i.trec", *T2I], "are both called 'a' for t2i.qrels"),
        (["a=base_t2i.trec", "b=base_i2t.trec", *T2I, *I2T], "the same systems in both"),
        (["a=base_t2i.trec", *T2I, "--baseline", "b"], "no system 'b' as baseline"),
        (["a=base_t2i.trec", *T2I, "--metrics", "R@0"], "R@0"),
        (["a=base_t2i.trec", *T2I, "--metrics", "sense"], "no measure 'sense'"),
        (["a=base_t2i.trec", *T2I, "--metrics", ","], "no metrics"),
        (["a=base_t2i.trec", *T2I, "--metrics", "R@1,RSUM"], "RSUM sums over both directions"),
        (["a=base_t2i.trec", "--qrels", "t2i.qrels", "--direction", "t2j"], "'t2j' is not one of"),
        (["a=base_t2i.trec", *T2I, "--resamples", "-1"], "resamples is -1"),
        (["a=base_t2i.trec", *T2I, "--json", "--markdown"], "Give --json or --markdown"),
    ],
)
def test_bad_input(cli: Cli, args: list[str], says: str) -> None:
    Path("empty.trec").write_text("")
    Path("strange.trec").write_text("x Q0 y 1 0.5 x\n")
    assert says in cli("evaluate", *args, code=2).stderr


def test_equal_scores_keep_the_order_of_the_file(cli: Cli) -> None:
    Path("ties.trec").write_text("t0 Q0 i5 1 0.5 x\nt0 Q0 i0 2 0.5 x\n")
    metrics = ("--metrics", "MRR", "--json")
    assert list(read_run(Path("ties.trec"))["t0"]) == ["i5", "i0"]
    shown = json.loads(cli("evaluate", "ties=ties.trec", *T2I, *metrics).stdout)
    assert shown["rows"]["ties"]["MRR"] == pytest.approx(0.5 / 12)


@given(st.lists(st.sampled_from(["R@1", "MRR", "ir:R@5", "RBP(p=0.8,rel=2)@10", "P(rel=2)@5"])))
def test_measures_split_at_commas_outside_parentheses(names: list[str]) -> None:
    assert measure_names(" , ".join(names), both=False) == names
