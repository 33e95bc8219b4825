"""What the command line says to do can be typed there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank.cli import main
from crossrank.cli._advice import at_terminal


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("encode it with 'lite', features=['tokens']", "encode it with 'lite', --features tokens"),
        ("features=['a', 'b']", "--features a,b"),
        ("give append=True to append", "give --append to append"),
        ("add it with add_to=", "add it with --add-to"),
        ("give device='cpu'", "give --device cpu"),
        ("run without engine='ray'", "run without --engine ray"),
        ("on_item='keep' or 'drop'", "--on-item keep or 'drop'"),
        ("fusion=Replace() or fusion=RRF()", "--stage NAME:fusion=replace or NAME:fusion=rrf"),
        ("WeightedSum(weight=2.0)", "WeightedSum(weight=2.0)"),
        ("no text 'a=b' is touched", "no text 'a=b' is touched"),
    ],
)
def test_keywords_become_options(message: str, said: str) -> None:
    assert at_terminal(message) == said


def test_a_missing_feature_and_missing_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.eye(2, dtype=np.float32)
    cr.Collection(["q"], "text", embedding=rows[:1]).save("texts")
    cr.Collection(["a", "b"], "image", embedding=rows).save("pictures")
    Path("run.trec").write_text("q Q0 a 1 1.0 x\nq Q0 b 2 0.5 x\n", encoding="utf-8")
    sides = ["--run", "run.trec", "--queries", "texts", "--gallery", "pictures", "-o", "out.trec"]
    with pytest.raises(SystemExit) as stopped:
        main(["rerank", *sides, "--stage", "filip"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "--features tokens" in said
    assert "features=" not in said
    assert len(said.splitlines()) == 1
