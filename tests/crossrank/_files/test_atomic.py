"""Files that replace others when they are complete, and what killed writers leave beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import crossrank as cr
from crossrank._files import atomic
from crossrank._files.atomic import atomic_binary, atomic_bytes, atomic_file
from crossrank._files.holding import holding, unfinished
from crossrank.errors import StoreError
from toys.basic import DotReranker

WRITERS = {
    "bytes": lambda path: atomic_bytes(path, b"new"),
    "text": lambda path: _written(atomic_file(path), "new"),
    "binary": lambda path: _written(atomic_binary(path), b"new"),
}


def _written(opened, content) -> None:  # type: ignore[no-untyped-def]
    with opened as file:
        file.write(content)


@pytest.mark.parametrize("how", WRITERS)
def test_the_next_write_takes_away_what_a_killed_one_left(tmp_path: Path, how: str) -> None:
    """It stayed for ever; found by research/kill.py."""
    path, other = tmp_path / "run.trec", tmp_path / "other"
    left = unfinished(path)
    left.write_text("half")
    kept = [unfinished(other), tmp_path / ".run.trec.mine", tmp_path / "run.trec.0123456789ab"]
    for each in kept:
        each.write_text("half")
    at_work = unfinished(path)
    at_work.write_text("half")
    with holding(at_work):
        WRITERS[how](path)
    assert path.read_text() == "new"
    assert set(tmp_path.iterdir()) == {path, at_work, *kept}


@pytest.mark.parametrize("how", WRITERS)
def test_a_new_file_that_another_takes_for_abandoned_is_made_again(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    @contextmanager
    def too_late(path: Path) -> Iterator[bool | None]:
        looked.append(path)
        if len(looked) == 1:
            path.unlink()
        with holding(path) as held:
            yield held and len(looked) > 2

    monkeypatch.setattr(atomic, "holding", too_late)
    WRITERS[how](tmp_path / "a")
    assert (tmp_path / "a").read_text() == "new" and len(looked) == 3


def test_what_goes_wrong_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a") as file:
        file.write("half")
        raise RuntimeError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.parametrize("behind_a_link", [False, True])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path, behind_a_link: bool) -> None:
    pipe = path = tmp_path / "pipe"
    os.mkfifo(pipe)
    if behind_a_link:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    collection = cr.Collection(["a"], "text", embedding=[[1.0]])
    candidates = cr.Candidates.from_lists([["a"]], query_ids=["a"], candidate_ids=["a"])
    stage = cr.Stage(DotReranker, fusion=cr.Replace())
    rankings = cr.Pipeline(stage).rerank(candidates, collection, collection)
    for write in (rankings.to_trec, rankings.save, lambda name: atomic_bytes(name, b"")):
        with pytest.raises(StoreError, match="no regular file, which would be replaced"):
            write(path)
    assert pipe.is_fifo()
    assert path.is_symlink() == behind_a_link


def test_the_systems_own_names_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root standard output, a link that leads to a regular file, would be."""
    monkeypatch.setattr(atomic, "DEVICES", tmp_path)
    (tmp_path / "redirected").touch()
    (tmp_path / "stdout").symlink_to("redirected")
    with pytest.raises(StoreError, match="no regular file"):
        atomic_bytes(tmp_path / "stdout", b"")
    assert (tmp_path / "stdout").is_symlink()
