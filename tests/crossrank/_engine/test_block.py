"""What a block holds, and the loop that runs blocks."""

import threading
import time

import numpy as np
import pytest

from crossrank import Collection, Needs, Ragged
from crossrank._engine.block import (
    ReadAhead,
    distinct,
    feature_bytes,
    locality,
    make_block,
    run_blocks,
)
from toys.basic import collection


def test_features_weigh_what_they_hold() -> None:
    items = Collection(
        ["a", "b"],
        "image",
        tokens=Ragged(np.zeros((5, 3), np.float16), [1, 4]),
        embedding=np.zeros((2, 7), np.float32),
    )
    assert feature_bytes(items, ["tokens", "embedding"]).tolist() == [6 + 28, 24 + 28]
    assert feature_bytes(items, []).tolist() == [0, 0]


@pytest.mark.parametrize("count", [7, 10_000])  # marked, and sorted
def test_each_value_once(count: int) -> None:
    for size in (0, 1, 40):
        values = np.random.default_rng(size).integers(0, count, size)
        assert distinct(values, count).tolist() == sorted(set(values.tolist()))


def test_a_block_holds_only_what_was_asked_for() -> None:
    gallery = collection(6, "image").with_features(text=list("abcdef"))
    queries = collection(3, "text")
    index = np.array([[5, 1], [1, 0]])
    mask = np.array([[True, True], [True, False]])
    block = make_block(
        np.array([2, 0]), index, mask, None, queries, gallery, Needs((), ("embedding",)), "t2i", 1
    )
    assert (block.queries.ids, block.queries.features) == (("t2", "t0"), ())
    assert (block.candidates.ids, block.candidates.features) == (("i1", "i5"), ("embedding",))
    assert block.index.tolist() == [[1, 0], [0, 0]]
    assert block.candidate_rows.tolist() == [1, 5]
    assert (block.base_scores, block.keep, block.direction) == (None, 1, "t2i")
    for array in (block.index, block.mask, block.query_rows, block.candidate_rows):
        assert not array.flags.writeable
    assert mask.flags.writeable and index.flags.writeable


def test_candidates_that_are_hardly_shared_lie_in_the_order_of_the_lists() -> None:
    gallery, queries = collection(40, "image"), collection(4, "text")
    rng = np.random.default_rng(0)
    index = rng.permutation(40)[:36].reshape(4, 9)
    index[2, 4] = index[0, 0]  # one is shared
    mask = np.ones(index.shape, np.bool_)
    mask[1, 3:] = False
    rows = np.arange(4)
    needs = Needs((), ("embedding",))
    block = make_block(rows, index, mask, None, queries, gallery, needs, "t2i")
    np.testing.assert_array_equal(block.candidate_rows[block.index][mask], index[mask])
    assert len(set(block.candidate_rows.tolist())) == len(block.candidate_rows) == mask.sum() - 1
    listed = [np.sort(index[row][mask[row]]).tolist() for row in range(4)]
    listed[2].remove(index[0, 0])
    assert block.candidate_rows.tolist() == [*listed[0], *listed[1], *listed[2], *listed[3]]
    np.testing.assert_array_equal(
        block.candidates["embedding"], gallery["embedding"][block.candidate_rows]
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_no_more_blocks_run_than_workers(workers: int) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(rows: range) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002 * (7 - rows.start % 7))
        with lock:
            running -= 1
        return rows.start

    blocks = [range(start, start + 2) for start in range(0, 40, 2)]
    results = list(run_blocks(work, blocks, workers))
    assert results == [(rows, rows.start) for rows in blocks]
    assert most <= workers


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_in_one_block_ends_the_run(workers: int) -> None:
    started: list[int] = []

    def work(rows: range) -> None:
        started.append(rows.start)
        if rows.start == 4:
            raise ValueError("block 4")

    blocks = [range(start, start + 1) for start in range(100)]
    with pytest.raises(ValueError, match="block 4"):
        list(run_blocks(work, blocks, workers))
    assert len(started) < 20


def test_the_next_block_is_read_while_one_is_used() -> None:
    blocks = [range(start, start + 1) for start in range(4)]
    begun = {rows.start: threading.Event() for rows in blocks}

    def read(rows: range) -> int:
        begun[rows.start].set()
        return rows.start

    ahead = ReadAhead(read, blocks)
    for rows in blocks:
        assert ahead(rows) == rows.start
        if rows.stop < len(blocks):
            assert begun[rows.stop].wait(5)  # without having been asked for
        assert rows.stop + 1 >= len(blocks) or not begun[rows.stop + 1].is_set()
    ahead.close()


def test_what_reading_raises_comes_where_the_block_is_asked_for() -> None:
    def read(rows: range) -> None:
        raise ValueError(f"block {rows.start}")

    ahead = ReadAhead(read, [range(0, 1), range(1, 2)])
    with pytest.raises(ValueError, match="block 0"):
        ahead(range(0, 1))
    ahead.close()


def test_lists_with_near_candidates_follow_each_other() -> None:
    index = np.array([[90, 95], [1, 5], [92, 0], [3, 3]])
    mask = np.array([[True, True], [True, True], [True, False], [True, True]])
    assert locality(index, mask).tolist() == [1, 3, 2, 0]
    assert locality(np.zeros((0, 0), int), np.zeros((0, 0), bool)).tolist() == []
