"""The drop-in call in asynchronous programs."""

import asyncio

import pytest

import crossrank as cr
from crossrank.errors import InputError
from toys.basic import DotReranker, ToyEncoder


@pytest.fixture(autouse=True)
def registered() -> None:
    cr.register(DotReranker)
    cr.register(ToyEncoder)


def test_many_calls_at_once_give_what_each_gives_alone() -> None:
    queries = [f"a {word}" for word in ("dog", "cat", "bird", "tree", "bus", "car")]
    texts = ["a dog", "the cat", "birds", "trees"]

    async def all_of_them() -> list[cr.Ranking]:
        return await asyncio.gather(
            *(cr.arerank(each, texts, "dot", encoder="toy", top_k=2) for each in queries)
        )

    found = asyncio.run(all_of_them())
    assert found == [cr.rerank(each, texts, "dot", encoder="toy", top_k=2) for each in queries]
    many = asyncio.run(cr.arerank_many(queries, [texts] * 6, "dot", encoder="toy", top_k=2))
    assert many == cr.rerank_many(queries, [texts] * 6, "dot", encoder="toy", top_k=2)


def test_errors_arrive_where_it_is_awaited() -> None:
    with pytest.raises(InputError, match="one text"):
        asyncio.run(cr.arerank("q", "abc", "dot", encoder="toy"))
