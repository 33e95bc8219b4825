"""A2.5: `threads=` holds in every thread, and runs that overlap leave the numbers as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import crossrank as cr
from crossrank.plugin._threads import LIMITS, held_to
from toys.basic import collection


def blas() -> int:
    """Return how many threads numpy's products may start."""
    known = [each for each in threadpool_info() if each["user_api"] == "blas"]
    # that of faiss keeps a number for each thread
    return max(int(each["num_threads"]) for each in known if each["threading_layer"] != "openmp")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = blas()
    # from now on threadpoolctl itself listens to this thread alone
    with threadpool_limits(2, user_api="blas"):
        yield
    assert blas() == before


def elsewhere(work: Callable[[], Any]) -> Any:
    """Return what some work returns in a thread of its own."""
    found: list[Any] = []
    thread = Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(60)
    return found[0]


class Watching(cr.Reranker):
    """Scores nothing, and remembers how many threads it may use."""

    info = cr.RerankerInfo("watching", "watches", candidate_features=("embedding",))

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def prepare(self, context: cr.Context) -> None:
        self.seen.append(blas())

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        self.seen.append(blas())
        return cr.Scores(np.zeros(block.mask.shape, np.float32))


def watched(number: int) -> set[int]:
    queries, gallery = collection(8, "text"), collection(20, "image")
    lists = cr.search(queries, gallery, depth=5)
    scorer = Watching()
    cr.Pipeline(cr.Stage(scorer)).rerank(lists, queries, gallery, threads=number)
    return set(scorer.seen)


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_threads_hold_in_the_main_thread_and_off_it(where: str) -> None:
    run = elsewhere if where == "elsewhere" else lambda work: work()
    assert run(lambda: watched(1)) == {1}
    assert blas() == 2


@pytest.mark.parametrize("first_to_end", [0, 1])
@pytest.mark.parametrize("numbers", [(1, 1), (1, 2), (2, 1), (1, 3)])
def test_runs_that_overlap_leave_the_threads_as_they_were(
    numbers: tuple[int, int], first_to_end: int
) -> None:
    """The first to begin may be the first to end, in a server."""
    held = [LIMITS.held_to(number) for number in numbers]
    held[0].__enter__()
    elsewhere(held[1].__enter__)
    assert blas() == min(numbers)
    elsewhere(lambda: held[first_to_end].__exit__(None, None, None))
    assert blas() == numbers[1 - first_to_end]
    held[1 - first_to_end].__exit__(None, None, None)
    assert blas() == 2


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("first_to_end", [0, 1])
@pytest.mark.parametrize("numbers", [(1, 1), (1, 3), (3, 1), (2, 1)])
def test_runs_that_overlap_leave_torch_as_it_was(
    numbers: tuple[int, int], first_to_end: int, before: int
) -> None:
    torch = pytest.importorskip("torch")
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        held = [LIMITS.held_to(number) for number in numbers]
        for each, number in zip(held, numbers, strict=True):
            each.__enter__()
            assert torch.get_num_threads() == number
        held[first_to_end].__exit__(None, None, None)
        assert torch.get_num_threads() == numbers[1 - first_to_end]
        held[1 - first_to_end].__exit__(None, None, None)
        assert torch.get_num_threads() == before == elsewhere(torch.get_num_threads)
    finally:
        torch.set_num_threads(found)


def test_what_a_thread_sets_another_keeps() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with held_to(1):

        def other() -> tuple[int, int]:
            with held_to(3):
                return torch.get_num_threads(), blas()

        assert elsewhere(other) == (3, 1)
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before == elsewhere(torch.get_num_threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_run_that_ends_in_a_forked_child_too_sets_no_more_threads_there() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "2"]


FORKING = """
import os, torch
from crossrank.plugin._threads import LIMITS

torch.set_num_threads(2)
run = LIMITS.held_to(1)
run.__enter__()
child = os.fork()
if child:
    os.waitpid(child, 0)
run.__exit__(None, None, None)
print(torch.get_num_threads(), flush=True)
os._exit(0)
"""
