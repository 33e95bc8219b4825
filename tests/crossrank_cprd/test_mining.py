"""Hard negatives: batch, queue and taught lists against loops."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank_cprd.mining import Queue, TaughtLists, hardest, in_batch
from crossrank_cprd.teacher import teacher_scores
from toys.cprd import CAPTIONS, PICTURES, Hidden, split


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 12))
@settings(deadline=None)
def test_the_hardest_are_the_most_similar_of_other_images(seed: int, n: int, count: int) -> None:
    torch.manual_seed(seed)
    queries, candidates = torch.randn(4, 3), torch.randn(n, 3)
    owners, candidate_owners = torch.randint(3, (4,)), torch.randint(3, (n,))
    mined = in_batch(queries, candidates, owners, candidate_owners, count)
    assert mined.columns.shape == mined.mask.shape == (4, min(count, n))
    for row in range(4):
        usable = [c for c in range(n) if candidate_owners[c] != owners[row]]
        order = sorted(usable, key=lambda c: -float(queries[row] @ candidates[c]))[:count]
        assert mined.columns[row, mined.mask[row]].tolist() == order


def test_everything_of_the_same_image_leaves_nothing() -> None:
    mined = in_batch(torch.randn(2, 3), torch.randn(2, 3), torch.zeros(2), torch.zeros(2), 5)
    assert not mined.mask.any()


def test_the_choice_lets_no_gradient_through() -> None:
    similarity = torch.randn(2, 3, requires_grad=True)
    mined = hardest(similarity, torch.ones(2, 3, dtype=torch.bool), 2)
    assert not mined.columns.requires_grad
    assert similarity.gather(1, mined.columns).requires_grad


@given(st.lists(st.integers(1, 7), max_size=8), st.integers(1, 6))
@settings(deadline=None)
def test_the_queue_holds_the_last(pushes: list[int], size: int) -> None:
    queue, rows = Queue(size, 2), list[int]()
    for count in pushes:
        new = torch.arange(len(rows), len(rows) + count)
        queue.push(torch.stack([new, -new], dim=1).float().requires_grad_(), new, new // 2)
        rows += new.tolist()
    kept = sorted(rows)[-size:]
    assert len(queue) == len(kept)
    assert sorted(queue.rows[: len(queue)].tolist()) == kept
    assert torch.equal(queue.embeddings[: len(queue), 0], queue.rows[: len(queue)].float())
    assert torch.equal(queue.owners[: len(queue)], queue.rows[: len(queue)] // 2)
    assert not queue.embeddings.requires_grad


def test_the_queue_masks_the_querys_own_image() -> None:
    queue = Queue(4, 2)
    queue.push(
        torch.tensor([[1.0, 0], [2.0, 0], [3.0, 0]]), torch.arange(3), torch.tensor([5, 6, 7])
    )
    mined = queue.hardest(torch.tensor([[1.0, 0.0]]), torch.tensor([7]), 3)
    assert mined.columns[mined.mask].tolist() == [1, 0]


def test_taught_lists_keep_scores_beside_their_candidates() -> None:
    images, texts, owners = split()
    lists = cr.search(texts, images, depth=8, engine="numpy")
    scores = teacher_scores(Hidden(), lists, texts, images)
    taught = TaughtLists.of(lists, scores, owners, torch.arange(PICTURES))
    queries = torch.randn(PICTURES * CAPTIONS, 4)
    candidates = torch.randn(PICTURES, 4)
    mined = taught.hardest(queries, candidates, 3)
    truth = torch.from_numpy(texts["truth"] @ images["truth"].T)
    for row in range(len(queries)):
        pool = [c for c in taught.index[row].tolist() if c != owners[row]]
        order = sorted(pool, key=lambda c: -float(queries[row] @ candidates[c]))[:3]
        assert mined.index[row].tolist() == order
        torch.testing.assert_close(mined.scores[row], truth[row, order])
    assert mined.usable.all()


def test_lists_of_some_queries_stand_in_their_rows() -> None:
    some = TaughtLists(torch.tensor([[5], [6]]), torch.ones(2, 1), torch.ones(2, 1) > 0)
    spread = some.spread(torch.tensor([3, 0]), 4)
    assert spread.index.flatten().tolist() == [6, 0, 0, 5]
    assert spread.usable.flatten().tolist() == [True, False, False, True]
    again = spread.hardest(torch.randn(4, 2), torch.randn(9, 2), 1)
    assert torch.equal(again.usable, spread.usable)
