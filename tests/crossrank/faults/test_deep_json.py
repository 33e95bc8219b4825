"""Files of JSON nested too deeply are bad input to readers that the fuzz run does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

import crossrank as cr
from crossrank.errors import FormatError, StoreError
from crossrank_bench.readers.files import read_json
from crossrank_fuse.learned import LearnedFusion
from crossrank_vlm.saved_cross_encoder import settings_in


def test_each_says_so_in_one_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    for read in (cr.Calibration.open, LearnedFusion.open):
        with pytest.raises(StoreError, match="too deep"):
            read(path)
    with pytest.raises(FormatError, match="too deep"):
        read_json("cola", path)
    assert settings_in(path) == {}
