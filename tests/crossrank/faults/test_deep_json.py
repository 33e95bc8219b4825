"""Files of JSON nested too deeply are bad input to readers that the fuzz run does not know."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, FormatError, StoreError
from crossrank_ablation.config import read_study
from crossrank_bench.readers.files import content_of
from crossrank_composed.triplets import read_edits
from crossrank_dialogue.dialogue import read_dialogues
from crossrank_dialogue.saving import read_chat
from crossrank_fuse.learned import LearnedFusion
from crossrank_graphs.precomputed import PrecomputedGraphs
from crossrank_reinforce.store import read_plan
from crossrank_serve.pipeline_file import read_pipeline
from crossrank_vlm.saved_cross_encoder import settings_in

READERS = (
    cr.AblationResult.open,
    cr.Calibration.open,
    cr.Stage.from_file,
    LearnedFusion.open,
    PrecomputedGraphs.open,
    lambda path: list(read_dialogues(path)),
    lambda path: content_of("cola", path),
    read_chat,
    read_plan,
    read_pipeline,
    read_study,
    read_edits,
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("read", READERS)
def test_none_waits_for_a_pipe(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "given.json")
    with pytest.raises(CrossrankError):
        read(tmp_path / "given.json")


def test_each_says_so_in_one_error(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    for read in (cr.Calibration.open, LearnedFusion.open):
        with pytest.raises(StoreError, match="too deep"):
            read(path)
    with pytest.raises(FormatError, match="too deep"):
        content_of("cola", path)
    assert settings_in(path) == {}
