"""What a caller's progress raises is not the plugin's fault, wherever it is called (A2.11)."""

from __future__ import annotations

from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import PluginError
from toys.basic import DotReranker, collection


class Talks(DotReranker):
    """Tells its progress in `prepare`, in `score` and in `explain`."""

    where = "prepare"

    def prepare(self, context: cr.Context) -> Any:
        if self.where == "prepare":
            context.progress("talks", 1, 2)
        return context

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if self.where == "score":
            state.progress("talks", 1, 2)
        return super().score(block, state)


class EnoughError(Exception):
    """Of the caller."""


def stops(what: str, done: int, total: int) -> None:
    if what == "talks":
        raise EnoughError


QUERIES, GALLERY = collection(2, "text"), collection(3, "image")
LISTS = cr.search(QUERIES, GALLERY, depth=3, engine="numpy")


@pytest.mark.parametrize("where", ["prepare", "score"])
@pytest.mark.parametrize("on_error", ["raise", "base_order"])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_progress_raises_stops_the_run_as_it_is(
    monkeypatch: pytest.MonkeyPatch, where: str, on_error: str, workers: int
) -> None:
    monkeypatch.setattr(Talks, "where", where)
    with pytest.raises(EnoughError):
        cr.Pipeline(cr.Stage(Talks)).rerank(
            LISTS, QUERIES, GALLERY, progress=stops, on_error=on_error, workers=workers
        )


def test_what_a_plugin_raises_is_its_own() -> None:
    class Breaks(DotReranker):
        def prepare(self, context: cr.Context) -> Any:
            raise EnoughError

    with pytest.raises(PluginError, match=r"failed in prepare\(\): EnoughError"):
        cr.Pipeline(cr.Stage(Breaks)).rerank(LISTS, QUERIES, GALLERY, progress=stops)
