"""Files that replace others when they are complete, and what killed writers leave beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crossrank._files import atomic
from crossrank._files.atomic import atomic_binary, atomic_bytes, atomic_file
from crossrank._files.holding import holding, unfinished

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
