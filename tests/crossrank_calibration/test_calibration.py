"""Probabilities and confidences against loops, published definitions and scikit-learn."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.cli import main as program
from crossrank.errors import CrossrankError, InputError, ParameterError, StoreError
from crossrank_calibration import (
    Labelled,
    calibrate,
    expected_calibration_error,
    measured,
    normalised_auc,
    reliability,
)


def main(arguments: list[str]) -> int:
    """Run the program and return its exit code."""
    try:
        program(arguments)
    except SystemExit as done:
        return int(done.code or 0)
    raise AssertionError("it did not exit")


METHODS = ("platt", "isotonic", "beta")


def judged(
    queries: int = 60, width: int = 12, seed: int = 0, shift: float = 0.0, scale: float = 1.0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """A run whose scores tell relevance by a logistic law."""
    rng = np.random.default_rng(seed)
    run: dict[str, dict[str, float]] = {}
    qrels: dict[str, dict[str, int]] = {}
    for q in range(queries):
        z = rng.normal(size=width)
        relevant = rng.random(width) < 1 / (1 + np.exp(-(3 * z - 2)))
        names = [f"d{q}-{n}" for n in range(width)]
        run[f"q{q}"] = dict(zip(names, (shift + scale * z).tolist(), strict=True))
        qrels[f"q{q}"] = {name: 1 for name, is_relevant in zip(names, relevant, strict=True)
                          if is_relevant} or {"elsewhere": 1}  # fmt: skip
    return run, qrels


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_the_frequencies(method: str) -> None:
    fitted = calibrate(*judged(), method)
    report = measured(fitted, *judged(400, seed=1))
    assert report["ece"]["after"] < 0.05 < report["ece"]["before"]
    assert report["ece"]["after"] < report["ece"]["before"] / 2
    assert fitted.report["cross_fitted"] == 5
    rising = fitted.probabilities(np.linspace(-4, 4, 50))
    assert (np.diff(rising) >= 0).all()


def test_platt_is_the_most_likely_sigmoid() -> None:
    """Against a search over slope and intercept of Platt's own likelihood."""
    from scipy.optimize import minimize

    data = Labelled.of(*judged(30))
    scores, relevant = data.pairs()
    positives = int(relevant.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(relevant) - positives + 2)

    def loss(ab: Any) -> float:
        total = 0.0
        for score, label in zip(scores.tolist(), relevant.tolist(), strict=True):
            p = 1 / (1 + math.exp(-(ab[0] * score + ab[1])))
            t = high if label else low
            total -= t * math.log(p) + (1 - t) * math.log(1 - p)
        return total

    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7}).x
    found = calibrate(*judged(30)).parameters
    np.testing.assert_allclose([found["slope"], found["intercept"]], best, rtol=1e-3)


def test_a_threshold_means_the_same_on_two_scales() -> None:
    one = calibrate(*judged(scale=1.0))
    other = calibrate(*judged(scale=0.02, shift=7.0))
    z = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(
        one.probabilities(z), other.probabilities(7 + 0.02 * z), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_it_back(method: str, tmp_path: Path) -> None:
    fitted = calibrate(*judged(), method)
    fitted.save(tmp_path / "c.json")
    found = cr.Calibration.open(tmp_path / "c.json")
    s = np.linspace(-3, 3, 20)
    np.testing.assert_allclose(found.probabilities(s), fitted.probabilities(s))
    assert found.fingerprint() == fitted.fingerprint()
    assert found.confidence == fitted.confidence


def naive_ece(p: list[float], y: list[bool], bins: int) -> float:
    total = 0.0
    for n in range(bins):
        low, high = n / bins, (n + 1) / bins
        members = [
            (a, b) for a, b in zip(p, y, strict=True) if low < a <= high or (n == 0 and a == 0)
        ]
        if members:
            accuracy = sum(b for _, b in members) / len(members)
            confidence = math.fsum(a for a, _ in members) / len(members)
            total += len(members) / len(p) * abs(accuracy - confidence)
    return total


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 12),
)
def test_the_error_is_that_of_its_definition(pairs: list[tuple[float, bool]], bins: int) -> None:
    p, y = [each[0] for each in pairs], [each[1] for each in pairs]
    edges = {n / bins for n in range(bins + 1)}
    if any(min(abs(each - edge) for edge in edges) < 1e-9 for each in p):
        return
    assert expected_calibration_error(p, y, bins) == pytest.approx(naive_ece(p, y, bins))
    assert sum(each.count for each in reliability(p, y, bins)) == len(p)


def test_a_published_figure() -> None:
    """Guo et al. 2017 define ECE; three pairs by hand."""
    assert expected_calibration_error([0.25, 0.3, 0.9], [False, True, True], 2) == pytest.approx(
        2 / 3 * abs(0.5 - 0.275) + 1 / 3 * 0.1
    )


def test_confidence_is_worth_what_it_orders() -> None:
    values = [1.0, 0.5, 0.25, 0.0]
    assert normalised_auc(values, values) == pytest.approx(1)
    assert normalised_auc([0, 0, 0, 0], values) == pytest.approx(0)
    worst = normalised_auc([-v for v in values], values)
    assert worst is not None and worst < 0
    assert normalised_auc([1, 2, 3, 4], [0.5] * 4) is None
    # by hand: the most confident 1, 2, 3 and 4 are kept
    told = normalised_auc([4, 2, 3, 1], values)
    area = (1 + 0.625 + (1 + 0.25 + 0.5) / 3 + 0.4375) / 4
    oracle = (1 + 0.75 + 1.75 / 3 + 0.4375) / 4
    assert told == pytest.approx((area - 0.4375) / (oracle - 0.4375))


def test_the_regression_is_that_of_the_sorted_scores() -> None:
    from numpy.linalg import lstsq

    run, qrels = judged(80)
    fitted = calibrate(run, qrels)
    assert fitted.confidence is not None
    rows, targets = [], []
    for query, members in run.items():
        order = [each for each, _ in sorted(members.items(), key=lambda member: -member[1])]
        rows.append([members[id] for id in order[:10]] + [1.0])
        ranks = [n for n, id in enumerate(order, 1) if id in qrels[query]]
        targets.append(1 / ranks[0] if ranks else 0.0)
    wanted = lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    np.testing.assert_allclose(fitted.confidence.weights, wanted[:-1], rtol=1e-2, atol=1e-3)


def test_perfectly_separated_classes(caplog: pytest.LogCaptureFixture) -> None:
    run = {f"q{n}": {"a": 2.0 + n / 10, "b": 0.0, "c": -1.0} for n in range(10)}
    qrels = {query: {"a": 1} for query in run}
    for method in METHODS:
        fitted = calibrate(run, qrels, method)
        p = fitted.probabilities(np.array([2.5, -1.0, -np.inf, np.inf]))
        assert np.isfinite(p).all() and p[0] > 0.8 and p[1] < 0.2
        assert fitted.report["separated"]
    assert "separates the 10 relevant from the 20 other pairs perfectly" in caplog.text


@pytest.mark.parametrize(
    ("run", "qrels", "says"),
    [
        ({"q": {"a": 1.0}}, {"p": {"a": 1}}, "none of the run's 1 queries is judged"),
        ({"q": {"a": 1.0, "b": 0.0}}, {"q": {"c": 1}}, "all 2 pairs are irrelevant"),
        ({"q": {"a": 1.0, "b": 0.0}}, {"q": {"a": 1, "b": 1}}, "all 2 pairs are relevant"),
        ({"q": {}}, {"q": {"a": 1}}, "list nothing"),
        ({"q": {"a": None}}, {"q": {"a": 1}}, "no scores"),
    ],
)
def test_splits_that_tell_nothing(run: Any, qrels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        calibrate(run, qrels)


def test_scores_that_rise_with_irrelevance_tell_nothing(caplog: pytest.LogCaptureFixture) -> None:
    run, qrels = judged(30)
    turned = {query: {id: -score for id, score in row.items()} for query, row in run.items()}
    for method in METHODS:
        p = calibrate(turned, qrels, method).probabilities(np.array([-3.0, 0.0, 3.0]))
        assert (np.diff(p) >= 0).all() and np.ptp(p) < 0.05
    assert "the rarer is what is relevant" in caplog.text
    for parameters in ({"slope": -1.0, "intercept": 0.0},):
        with pytest.raises(ParameterError, match="fall where scores rise"):
            cr.Calibration("platt", parameters)


def test_bad_parameters() -> None:
    run, qrels = judged(8)
    with pytest.raises(ParameterError, match="no method 'plat'"):
        calibrate(run, qrels, "plat")
    for folds in (1, 2.5, True):
        with pytest.raises(ParameterError, match="folds"):
            calibrate(run, qrels, folds=folds)  # type: ignore[arg-type]


def test_queries_without_judgements_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    run, qrels = judged(8)
    del qrels["q3"]
    assert calibrate(run, qrels).report["queries"] == 7
    assert "1 of 8 queries are not judged" in caplog.text


def test_one_relevant_pair_is_not_cross_fitted() -> None:
    run = {"q": {"a": 1.0, "b": 0.0}, "p": {"c": 1.0}}
    assert calibrate(run, {"q": {"a": 1}, "p": {"x": 1}}).report["cross_fitted"] == 0


def sides() -> tuple[cr.Collection, cr.Collection, cr.Candidates]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(24, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = cr.Collection([f"q{n}" for n in range(8)], "text", embedding=rows[:8])
    gallery = cr.Collection([f"g{n}" for n in range(16)], "image", embedding=rows[8:])
    return queries, gallery, cr.search(queries, gallery, 12)


def judgements() -> dict[str, dict[str, int]]:
    found = {}
    for query, row in sides()[2].to_run().items():
        worth = {name: score + 0.3 * (name < "g3") for name, score in row.items()}
        found[query] = {max(worth, key=worth.__getitem__): 1}
    return found


QRELS = judgements()


class Squares(cr.Reranker):
    info = cr.RerankerInfo("squares", "", "", ("embedding",), ("embedding",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        s = block.queries["embedding"] @ block.candidates["embedding"].T
        return cr.Scores(
            np.where(block.mask, np.take_along_axis(s, block.index, axis=1) ** 2, 0).astype(
                np.float32
            )
        )


def test_a_pipeline_gives_probabilities(tmp_path: Path) -> None:
    queries, gallery, candidates = sides()
    plain = cr.Pipeline(cr.Stage(Squares)).rerank(candidates, queries, gallery)
    assert plain["q0"][0].probability is None and plain["q0"].confidence is None
    calibration = calibrate(plain, QRELS)
    assert calibration.stages == ("squares",)
    pipeline = cr.Pipeline(cr.Stage(Squares), calibration=calibration)
    found = pipeline.rerank(candidates, queries, gallery)
    assert found == plain.calibrated(calibration)
    hits = found["q2"]
    s = np.array([hit.score for hit in hits])
    told = [float(hit.probability or 0) for hit in hits]
    np.testing.assert_allclose(told, calibration.probabilities(s))
    assert isinstance(hits[0].probability, float) and isinstance(hits.confidence, float)
    middle = sorted(float(hit.probability or 0) for hit in hits)[6]
    cut = pipeline.rerank(candidates, queries, gallery, min_probability=middle)
    assert min(hit.probability or 0 for hit in cut["q2"]) == middle and len(cut["q2"]) == 6
    top = pipeline.rerank(candidates, queries, gallery, top_k=2)
    assert [each.confidence for each in top.values()] == [
        each.confidence for each in found.values()
    ]
    kept = pipeline.rerank_to(tmp_path / "run", candidates, queries, gallery, top_k=2)
    assert kept == top == cr.Rankings.open(tmp_path / "run" / "rankings.safetensors")
    assert top.take([2]).values()[0].confidence == hits.confidence
    with pytest.raises(StoreError):
        cr.Pipeline(cr.Stage(Squares)).rerank_to(
            tmp_path / "run", candidates, queries, gallery, top_k=2
        )


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, "half", True])
def test_bad_min_probability(wrong: Any) -> None:
    queries, gallery, candidates = sides()
    calibration = cr.Calibration("platt", {"slope": 1.0, "intercept": 0.0})
    with pytest.raises(ParameterError, match="min_probability"):
        cr.Pipeline(Squares_stage(), calibration=calibration).rerank(
            candidates, queries, gallery, min_probability=wrong
        )
    with pytest.raises(ParameterError, match="calibration=FILE"):
        cr.Pipeline(Squares_stage()).rerank(candidates, queries, gallery, min_probability=0.5)


def Squares_stage() -> cr.Stage:  # noqa: N802
    return cr.Stage(Squares)


def test_a_calibration_of_other_stages_is_told(caplog: pytest.LogCaptureFixture) -> None:
    calibration = cr.Calibration("platt", {"slope": 1.0, "intercept": 0.0}, ("filip",))
    cr.Pipeline(Squares_stage(), calibration=calibration)
    assert "fitted on filip, not on squares" in caplog.text


def test_statistics_of_a_calibration_compare_lists_of_any_length(tmp_path: Path) -> None:
    queries, gallery, candidates = sides()
    run = cr.Pipeline(cr.Stage(Squares, fusion=cr.WeightedSum(0.5, statistics="run")))
    whole = run.rerank(candidates, queries, gallery)
    calibrate(whole, QRELS).save(tmp_path / "c.json")
    given = cr.WeightedSum(0.5, statistics=str(tmp_path / "c.json"))
    pipeline = cr.Pipeline(cr.Stage(Squares, fusion=given))
    assert not pipeline.transductive
    found = pipeline.rerank(candidates, queries, gallery)
    np.testing.assert_allclose(found.final, whole.final, rtol=1e-6, atol=1e-6)
    # a single list of two, as the whole run scored it
    short = cr.Candidates.from_run(
        {"q1": {id: 0.0 + score for id, score in list(candidates.to_run()["q1"].items())[:2]}},
        candidate_ids=gallery.ids,
    )
    alone = pipeline.rerank(short, queries, gallery)["q1"]
    by_id = {hit.id: hit.score for hit in whole["q1"]}
    np.testing.assert_allclose(
        [hit.score for hit in alone], [by_id[hit.id] for hit in alone], rtol=1e-5, atol=1e-6
    )


def test_statistics_that_are_not_there(tmp_path: Path) -> None:
    calibrate(*judged(8)).save(tmp_path / "c.json")
    with pytest.raises(ParameterError, match="no statistics of stages"):
        cr.Stage(Squares, fusion=cr.WeightedSum(statistics=tmp_path / "c.json"))
    some = cr.Calibration(
        "platt", {"slope": 1.0, "intercept": 0.0}, statistics={"x": cr.Statistics(0, 1, 0, 1)}
    )
    with pytest.raises(ParameterError, match="of x only"):
        cr.Stage(Squares, fusion=cr.WeightedSum(statistics=some))
    with pytest.raises(ParameterError, match="no file is called so"):
        cr.WeightedSum(statistics="rwo")
    with pytest.raises(ParameterError, match="zscore"):
        cr.WeightedSum(normalise="minmax", statistics=some)
    with pytest.raises(ParameterError, match="deviation"):
        cr.Statistics(0, -1, 0, 1)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(StoreError, match="crossrank calibrate"):
        cr.Calibration.open(tmp_path / "broken.json")
    with pytest.raises(ParameterError, match="no method"):
        cr.Calibration("plat", {})
    with pytest.raises(ParameterError, match="slope, intercept"):
        cr.Calibration("platt", {"slope": 1.0})


def test_short_lists_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    queries, gallery, _ = sides()
    short = cr.search(queries, gallery, 2)
    two = cr.Pipeline([Squares_stage(), cr.Stage(Squares, name="again")])
    two.rerank(short, queries, gallery)
    told = [each for each in caplog.records if "say little" in each.message]
    assert len(told) == 1 and "8 of 8 lists hold fewer than 4" in told[0].message
    caplog.clear()
    for fusion in (cr.WeightedSum(statistics="run"), cr.Replace(), cr.RRF()):
        cr.Pipeline(cr.Stage(Squares, fusion=fusion)).rerank(short, queries, gallery)
    two.rerank(cr.search(queries, gallery, 5), queries, gallery)
    two.rerank(cr.search(queries, gallery, 1), queries, gallery)
    assert not caplog.records


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
