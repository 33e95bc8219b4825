"""A study: the same numbers as the pipeline and ir-measures, each pair scored once."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ir_measures
import networkx
import numpy as np
import pytest
from scipy.stats import permutation_test, ttest_rel

import crossrank as cr
from crossrank.errors import CrossrankError, InputError, MissingPackageError, StoreError
from toys.ablation import DATA, FAST, TUNE, Noisy, pipeline, saved, split

PER_QUERY: dict[str, Callable[[Any], Any]] = {
    "R@1": lambda ranks: 100.0 * (ranks <= 1),
    "MRR": lambda ranks: 1 / ranks,
}


def test_cells_equal_pipelines() -> None:
    data = split()
    result = cr.ablate(
        pipeline(1, 2),
        data,
        variants=["subsets", "orders"],
        grid={"s1.depth": [4, 12], "s2.weight": [0.5, 2.0]},
        statistics=FAST,
    )
    base = cr.search(data.queries, data.gallery, data.depth)
    for cell in result.cells:
        if cell.is_base:
            continue
        stages = [
            cr.Stage(
                Noisy,
                depth=stage.get("depth"),
                fusion=cr.WeightedSum(stage["weight"]),
                params={"seed": stage["seed"]},
            )
            for stage in cell.stages
        ]
        rankings = cr.Pipeline(stages).rerank(base, data.queries, data.gallery)
        expected = cr.evaluate(
            {"base": base, "it": rankings}, data.qrels, result.metrics, resamples=199
        )
        assert dict(cell.metrics) == pytest.approx(dict(expected["it"]), abs=1e-12), cell.name
        for metric, gain in expected.gains["it"].items():
            found = cell.comparisons["base"][metric]
            assert found.difference == pytest.approx(gain.difference, abs=1e-12)
            assert found.low == pytest.approx(gain.low, abs=1e-9)
            assert found.high == pytest.approx(gain.high, abs=1e-9)
    assert networkx.is_arborescence(result.tree())


def test_p_values_are_scipys_on_the_per_query_numbers(tmp_path: Path) -> None:
    data = split()
    result = cr.ablate(pipeline(1, 2), data, variants="leave_one_out", statistics=FAST)
    record = json.loads(json.dumps(result.to_dict()))
    clusters = np.array(record["directions"]["t2i"]["clusters"])
    ranks = {
        cell["name"]: np.array([np.inf if r is None else r for r in cell["first_ranks"]])
        for cell in record["cells"]
    }
    for cell in record["cells"]:
        for other, row in cell["comparisons"].items():
            for metric, of in PER_QUERY.items():
                after, before = (
                    np.bincount(clusters, weights=of(ranks[name])) for name in (cell["name"], other)
                )
                alone = permutation_test(
                    (after - before,),
                    lambda values, axis: values.sum(axis=axis),
                    permutation_type="samples",
                    vectorized=True,
                    n_resamples=199,
                    random_state=np.random.default_rng(0),
                ).pvalue
                assert row[metric]["p_value"] == alone
                paired = ttest_rel(after, before).pvalue
                if np.isnan(paired):
                    assert row[metric]["p_t"] is None
                else:
                    assert row[metric]["p_t"] == pytest.approx(paired, rel=1e-9)


def test_metrics_are_those_of_ir_measures_on_the_exported_runs(tmp_path: Path) -> None:
    data = split()
    result = cr.ablate(
        pipeline(1, 2),
        data,
        variants="add_one_in",
        grid={"top_k": [3, 12]},
        output=tmp_path / "out",
        runs=True,
        statistics=FAST,
        metrics=["R@1", "R@5", "MRR", "nDCG@3", "ir:R@5"],
    )
    qrels = {query: {str(item): 1} for query, item in dict(data.qrels).items()}  # type: ignore[arg-type]
    names = {
        "R@1": "Success@1",
        "R@5": "Success@5",
        "MRR": "RR",
        "nDCG@3": "nDCG@3",
        "ir:R@5": "R@5",
    }
    for cell in result.cells:
        run = list(ir_measures.read_trec_run(str(tmp_path / "out" / cell.run)))  # type: ignore[no-untyped-call]
        measures = {ir_measures.parse_measure(ir): ours for ours, ir in names.items()}
        for measure, value in ir_measures.calc_aggregate(list(measures), qrels, run).items():
            ours = measures[measure]
            factor = 100 if ours in ("R@1", "R@5") else 1
            assert cell.metrics[ours] == pytest.approx(factor * value), (cell.name, ours)
    assert len(list((tmp_path / "out" / "runs").iterdir())) == len(result.cells) == 1 + 4


def test_a_cell_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    result = cr.ablate(
        cr.Pipeline([cr.Stage(Noisy, name="s"), cr.Stage(Noisy, name="t", params={"seed": 5})]),
        split(),
        variants="add_one_in",
        grid={"s.fail": [False, True]},
        statistics=FAST,
        output=tmp_path / "out",
    )
    done, failed, other = result.cells[1:]
    assert (done.status, failed.status, other.status) == ("done", "failed", "done")
    assert "out of luck" in failed.error
    assert result.failed == (failed,)
    for name in ("table.txt", "table.md", "table.csv", "table.tex", "report.html"):
        assert "failed" in (tmp_path / "out" / name).read_text()
    assert "out of luck" in (tmp_path / "out" / "table.md").read_text()


def test_a_direction_that_a_reranker_does_not_do_is_no_failure() -> None:
    result = cr.ablate(
        cr.Pipeline(["only-text"]), split(), directions=["t2i", "i2t"], statistics=FAST
    )
    assert [cell.status for cell in result.cells] == ["done", "done", "done", "not applicable"]
    assert not result.failed
    with pytest.raises(CrossrankError, match="makes t2i or i2t, not t2t"):
        cr.ablate(cr.Pipeline(["noisy"]), split(), directions=["t2t"])


def test_both_directions_are_those_of_evaluate() -> None:
    data = split()
    result = cr.ablate(pipeline(1), data, directions=["i2t", "t2i"], statistics=FAST)
    base = cr.search(data.gallery, data.queries, data.depth)
    rankings = pipeline(1).rerank(base, data.gallery, data.queries)
    qrels: dict[str, set[str]] = {}
    for text, image in dict(data.qrels).items():  # type: ignore[arg-type]
        qrels.setdefault(str(image), set()).add(str(text))
    expected = cr.evaluate({"it": rankings}, qrels, result.metrics, resamples=0)
    assert dict(result.cell("s1", "i2t").metrics) == pytest.approx(dict(expected["it"]))


def test_settings_are_chosen_on_the_other_split(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    stage = "[stages.noisy]\nspread = 2.0\n[grid]\nstages = ['noisy']\n"
    text = DATA + TUNE + stage + "[tune]\nnoisy.weight = [0.0, 0.1, 5.0]\n"
    (folder / "study.toml").write_text(text + "[statistics]\nresamples = 99\n")
    result = cr.ablate(folder / "study.toml")
    values = {t["settings"]["noisy.weight"]: t["metrics"]["R@1"] for t in result.tried}
    assert len(values) == 3
    (chosen,) = [each for each in result.tried if each["chosen"]]
    assert chosen["metrics"]["R@1"] == max(values.values())
    cell = result.cells[1]
    assert dict(cell.tuned) == chosen["settings"]
    assert cell.stages[0]["weight"] == chosen["settings"]["noisy.weight"]
    # the same cell without choosing gives the same numbers
    direct = cr.ablate(
        {
            "data": {"root": str(folder), "report": _toml(DATA)["data"]["report"]},
            "stages": {"noisy": {"spread": 2.0, "weight": cell.tuned["noisy.weight"]}},
            "grid": {"stages": ["noisy"]},
        },
        cache=False,
    )
    assert direct.cells[1].metrics == cell.metrics


def test_queries_without_a_list_are_misses() -> None:
    data = split(6)
    base = cr.search(data.queries, data.gallery, 4)
    run = dict(list(base.to_run().items())[3:])
    run["a stranger"] = {data.gallery.ids[0]: 1.0}
    queries = cr.Collection(
        [*data.queries.ids, "a stranger"],
        "text",
        embedding=np.vstack([data.queries["embedding"], data.queries["embedding"][:1]]),
    )
    given = cr.Split(queries, data.gallery, data.qrels, cr.Candidates.from_run(run))
    result = cr.ablate(pipeline(1), given, statistics=FAST, metrics=["R@1", "MeanR"])
    expected = cr.evaluate({"base": run}, data.qrels, ["R@1", "MeanR"], resamples=0)
    assert dict(result.cells[0].metrics) == pytest.approx(dict(expected["base"]))
    assert result.queries["t2i"].notes[:2] == (
        "queries that the qrels do not know: 1; left out",
        "queries without a list: 3; they count as misses",
    )


def test_slices_partition_the_queries() -> None:
    data = split()
    cell = cr.ablate(pipeline(1), data, statistics=FAST).cells[1]
    groups: dict[str, int] = {}
    total: dict[str, float] = {}
    for each in cell.slices:
        groups[each.dimension] = groups.get(each.dimension, 0) + each.queries
        total[each.dimension] = total.get(each.dimension, 0) + each.queries * each.difference
        assert each.low is not None or each.queries < 15
        assert each.low is None or each.high is None or each.low <= each.difference <= each.high
    assert groups == {
        "base rank": 60,
        "query length in words": 60,
        "objects in the picture": 60,
        "smallest object": 45,  # a quarter of the pictures has no object
    }
    gain = 60 * cell.comparisons["base"]["R@1"].difference
    for dimension in list(groups)[:3]:
        assert total[dimension] == pytest.approx(gain)


def test_cost_and_provenance() -> None:
    result = cr.ablate(
        cr.Pipeline([cr.Stage(Noisy, params={"sleep": 0.05})]),
        split(),
        grid={"noisy.depth": [3, 12]},
        statistics=FAST,
    )
    shallow, deep = result.cells[1:]
    assert (shallow.cost.pairs, deep.cost.pairs) == (180, 720)
    assert deep.cost.seconds >= 0.05 > shallow.cost.seconds > 0.01
    made = result.provenance
    assert made["versions"]["crossrank"] == cr.__version__
    assert made["plugins"] == {}
    assert made["host"]["cores"] >= 1
    assert set(made["fingerprints"]["report t2i"]) >= {"queries.embedding", "gallery.ids"}


def test_a_result_may_leave_out_machine_and_command(tmp_path: Path) -> None:
    """Host, command line and paths say who somebody is."""
    pytest.importorskip("matplotlib")
    result = cr.ablate(
        pipeline(1),
        split(),
        report={"machine": False},
        statistics=FAST,
        output=tmp_path / "out",
        cache=tmp_path / "cache",
    )
    made = result.provenance
    assert (made["host"], made["command"], made["cache"]) == (None, None, None)
    assert made["versions"]["crossrank"] == cr.__version__
    for name in ("result.json", "report.html"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert platform.node() not in text or len(platform.node()) < 4
        assert str(tmp_path / "cache") not in text
    with pytest.raises(InputError, match=r"report\.machine is 'no'; give true or false"):
        cr.ablate(pipeline(1), split(), report={"machine": "no"})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cr.ablate(), "give a configuration, a pipeline, or resume=FOLDER"),
        (lambda: cr.ablate(cr.Pipeline(["noisy"])), "a pipeline needs data, a Split"),
        (lambda: cr.ablate("x.toml", split()), "data belong to a pipeline"),
        (
            lambda: cr.ablate(cr.Pipeline(["noisy"]), split(), report_={}),
            "no key 'report_'; did you mean 'report'",
        ),
        (
            lambda: cr.ablate(cr.Pipeline(["noisy"]), split(), report_={}, grid={"noisy.x": [1]}),
            "no key",
        ),
        (
            lambda: cr.ablate(cr.Pipeline(["noisy"]), split(), grid={"noisy.weight": []}),
            "noisy.weight is empty",
        ),
    ],
)
def test_bad_calls(call: Any, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("(", r"\(").replace("?", r"\?")):
        call()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(StoreError, match="exists already"):
        cr.ablate(pipeline(1), split(), output=tmp_path / "out")
    cr.ablate(pipeline(1), split(), output=tmp_path / "new", statistics=FAST)
    with pytest.raises(StoreError, match="holds a study already; go on with it"):
        cr.ablate(pipeline(1), split(), output=tmp_path / "new")
    with pytest.raises(StoreError, match="started from Python with objects"):
        cr.ablate(resume=tmp_path / "new")
    with pytest.raises(StoreError, match="holds no study"):
        cr.ablate(resume=tmp_path / "out")


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def test_a_study_needs_no_networkx_until_its_graph_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "networkx", None)
    result = cr.ablate(pipeline(1), split(), statistics=FAST)
    assert result.drawing[0]["label"] == "base"
    with pytest.raises(MissingPackageError, match=r'pip install "crossrank\[ablate\]"'):
        result.tree()
