"""What holds in every host, against its own package: nothing is lost, and the order is ours."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from toys.basic import ToyEncoder
from toys.hosts.all import DRIVERS
from toys.hosts.driver import Driver, Thing, installed

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}
QUERY = "a dog"


@pytest.fixture(params=DRIVERS, ids=lambda driver: type(driver).__name__)
def host(request: pytest.FixtureRequest) -> Driver:
    driver: Driver = request.param
    if not installed(driver.package):
        pytest.skip(f"{driver.package} is not installed; make test-hosts")
    return driver


def things(photos: list[Path], scores: list[float | None] | None = None) -> list[Thing]:
    given = scores or [None] * len(photos)
    return [
        Thing(f"t{place}", path, None, given[place], {"page": place, "tags": f"x{place}"})
        for place, path in enumerate(photos)
    ]


def texts(scores: list[float | None]) -> list[Thing]:
    words = ("a cat", "a dog", "two dogs", "no animal")
    return [Thing(f"t{n}", None, word, scores[n]) for n, word in enumerate(words)]


def ids(host: Driver, result: Any) -> list[str]:
    return [told.id for told in host.told(result)]


def reference(
    query: Any, candidates: list[Any], scores: list[float] | None = None, **more: Any
) -> cr.Ranking:
    return cr.rerank(query, candidates, base_scores=scores, **SETTINGS, **more)


def need_pictures(host: Driver) -> None:
    if not host.pictures:
        pytest.skip("this host has no pictures")


def need_texts(host: Driver) -> None:
    if not host.texts:
        pytest.skip("this host has no texts")


def test_the_order_is_that_of_rerank(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    result = host.rerank(QUERY, host.native(things(photos)), **SETTINGS)
    expected = reference(QUERY, photos)
    assert ids(host, result) == [f"t{hit.index}" for hit in expected]
    assert [told.score for told in host.told(result)] == pytest.approx([h.score for h in expected])


def test_texts_are_ranked_too(host: Driver) -> None:
    need_texts(host)
    made = texts([None] * 4)
    result = host.rerank(QUERY, host.native(made), **SETTINGS)
    expected = reference(QUERY, [thing.text for thing in made])
    assert ids(host, result) == [f"t{hit.index}" for hit in expected]


def test_base_scores_are_fused_and_kept(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if not (host.base and host.scored):
        pytest.skip("this host hands over no base scores")
    scores = [0.1, 0.9, 0.3, 0.5, 0.7]
    result = host.rerank(QUERY, host.native(things(photos, list(scores))), **SETTINGS)
    expected = reference(QUERY, photos, scores)
    told = host.told(result)
    assert [each.id for each in told] == [f"t{hit.index}" for hit in expected]
    for each, hit in zip(told, expected, strict=True):
        assert each.score == pytest.approx(hit.score)
        assert each.base_score == pytest.approx(hit.base_score)
        assert each.base_rank == hit.base_rank
        assert each.trace[0]["stage"] == "dot"
        assert each.trace[0]["score"] == pytest.approx(hit.trace[0].score)


def test_metadata_are_kept_and_stay_json(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if not host.metadata:
        pytest.skip("this host has no metadata")
    for told in host.told(host.rerank(QUERY, host.native(things(photos)), **SETTINGS)):
        place = int(told.id[1:])
        assert told.metadata is not None
        assert told.metadata["page"] == place
        assert told.metadata["tags"] == f"x{place}"
        again = json.loads(json.dumps({**told.metadata}))
        assert again["page"] == place


ANYTHING: dict[str, Any] = {
    "none": None,
    "flag": False,
    "nested": {"list": [1, "two", None, {"deep": 0.5}], "empty": {}},
    "when": datetime(2026, 11, 29, tzinfo=UTC),
    "raw": b"\x00\xff",
    "source": 17,  # where others keep a path
    "score": "high",  # and their score
}


def test_metadata_of_any_type_are_kept(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if not (host.metadata and host.anything):
        pytest.skip("metadata of this host are of certain types")
    given = {name: value for name, value in ANYTHING.items() if name not in host.own}
    made = [Thing(f"t{place}", path, metadata=given) for place, path in enumerate(photos)]
    result = host.rerank(QUERY, host.native(made), **SETTINGS)
    assert ids(host, result) == [f"t{hit.index}" for hit in reference(QUERY, photos)]
    for told in host.told(result):
        assert told.metadata is not None
        assert {name: told.metadata[name] for name in given} == given


@pytest.mark.parametrize("show", ["image", "text"])
def test_what_has_both_is_judged_by_the_one_that_is_asked_for(
    host: Driver, photos: list[Path], show: str
) -> None:
    need_pictures(host)
    need_texts(host)
    if not host.both:
        pytest.skip("things of this host are a picture or a text")
    words = ["a cat", "a dog", "two dogs", "no animal", "a dog and a cat"]
    made = [Thing(f"t{n}", photos[n], word) for n, word in enumerate(words)]
    result = host.rerank(QUERY, host.native(made), show=show, **SETTINGS)
    expected = reference(QUERY, photos if show == "image" else words)
    assert ids(host, result) == [f"t{hit.index}" for hit in expected]


def test_scores_are_python_floats(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    for told in host.told(host.rerank(QUERY, host.native(things(photos)), **SETTINGS)):
        assert type(told.score) is float


def test_without_any_score_the_base_is_the_order(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if not host.base:
        pytest.skip("this host says nothing of the base")
    for told in host.told(host.rerank(QUERY, host.native(things(photos)), **SETTINGS)):
        assert told.base_score is None
        assert told.base_rank == int(told.id[1:]) + 1


def test_one_missing_score_loses_nothing(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if not (host.base and host.scored and host.partial):
        pytest.skip("no score of this host is ever missing")
    scores = [0.1, 0.9, None, 0.5, 0.7]
    result = host.rerank(QUERY, host.native(things(photos, scores)), **SETTINGS)
    expected = reference(QUERY, photos, [0.1, 0.9, 0.1, 0.5, 0.7])
    told = host.told(result)
    assert [each.id for each in told] == [f"t{hit.index}" for hit in expected]
    assert {each.id: each.base_score for each in told} == {
        f"t{place}": score for place, score in enumerate(scores)
    }


@pytest.mark.parametrize("number", [0, 1, 5])
def test_any_number_of_things(host: Driver, photos: list[Path], number: int) -> None:
    need_pictures(host)
    native = host.native(things(photos[:number]))
    result = host.rerank(QUERY, native, **SETTINGS)
    assert len(host.told(result)) == number
    if number:
        assert type(result) is type(host.rerank(QUERY, host.native(things(photos)), **SETTINGS))


@pytest.mark.parametrize("top_k", [1, 3, 50])
def test_the_best_are_returned(host: Driver, photos: list[Path], top_k: int) -> None:
    need_pictures(host)
    if not host.limited:
        pytest.skip("the host itself cuts")
    whole = ids(host, host.rerank(QUERY, host.native(things(photos)), **SETTINGS))
    part = ids(host, host.rerank(QUERY, host.native(things(photos)), top_k, **SETTINGS))
    assert part == whole[:top_k]


@pytest.mark.parametrize("top_k", [0, -1])
def test_none_cannot_be_asked_for(host: Driver, photos: list[Path], top_k: int) -> None:
    need_pictures(host)
    if not host.limited:
        pytest.skip("the host itself cuts")
    with pytest.raises(ValueError):
        host.rerank(QUERY, host.native(things(photos)), top_k, **SETTINGS)


def test_the_input_stays_as_it_is(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    native = host.native(things(photos, [0.1, 0.9, 0.3, 0.5, 0.7]))
    before = copy.deepcopy(native)
    host.rerank(QUERY, native, **SETTINGS)
    assert host.same(native, before)


def test_the_same_thing_twice(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if not host.duplicates:
        pytest.skip("this host's results hold nothing twice")
    made = [*things(photos[:3]), things(photos[:1])[0]]
    told = host.told(host.rerank(QUERY, host.native(made), **SETTINGS))
    assert len(told) == 4


def test_asynchronously_it_is_the_same(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if type(host).arerank is Driver.arerank:
        pytest.skip("this host is never asynchronous")
    native = host.native(things(photos, [0.1, 0.9, 0.3, 0.5, 0.7]))
    plain = host.told(host.rerank(QUERY, native, **SETTINGS))
    for _ in range(2):  # an event loop each
        assert host.told(asyncio.run(host.arerank(QUERY, native, **SETTINGS))) == plain


def test_a_cancelled_task_harms_nobody(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    if type(host).arerank is Driver.arerank:
        pytest.skip("this host is never asynchronous")
    native = host.native(things(photos))

    async def cancel_one() -> Any:
        first = asyncio.create_task(host.arerank(QUERY, native, **SETTINGS))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await host.arerank(QUERY, native, **SETTINGS)

    assert host.told(asyncio.run(cancel_one())) == host.told(host.rerank(QUERY, native, **SETTINGS))


def test_a_picture_asks(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    result = host.rerank(host.asking(photos[2]), host.native(things(photos)), **SETTINGS)
    expected = reference(photos[2], photos)
    assert ids(host, result) == [f"t{hit.index}" for hit in expected]


def test_it_survives_the_hosts_own_save_and_load(host: Driver) -> None:
    if type(host).again is Driver.again:
        pytest.skip("this host saves nothing")
    made, again = host.again(reranker="filip", encoder="lite", params={"aggregate": "sum"})
    assert host.settings(again) == host.settings(made)
    assert "aggregate" in str(host.settings(again))


def test_hundreds_of_things(host: Driver, photos: list[Path]) -> None:
    need_texts(host)
    made = [Thing(f"t{n}", None, f"{n} dogs and {n * n} cats") for n in range(400)]
    told = host.told(host.rerank(QUERY, host.native(made), **SETTINGS))
    assert len({each.id for each in told}) == 400


def test_importing_it_loads_no_torch(host: Driver) -> None:
    code = (
        "import sys\n"
        f"try:\n    import {host.package or 'json'}\nexcept ImportError:\n    pass\n"
        "already = 'torch' in sys.modules\n"
        f"import {host.module}\n"
        "assert already or 'torch' not in sys.modules, 'torch was loaded'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def unscored(told: Any) -> bool:
    return told.trace[0]["score"] is None and bool(told.trace[0]["note"])


def test_a_missing_file_stays_below_with_its_reason(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    photos[1].unlink()
    native = host.native(things(photos))
    whole = host.told(host.rerank(QUERY, native, on_item="keep", **SETTINGS))
    assert len(whole) == len(photos)
    assert whole[-1].id == "t1"
    assert whole[-1].score < whole[-2].score
    if host.base:
        assert unscored(whole[-1])
        assert "red" not in whole[-1].trace[0]["note"]
        assert "green.png" in whole[-1].trace[0]["note"]
    assert {
        told.id for told in host.told(host.rerank(QUERY, native, on_item="drop", **SETTINGS))
    } == {"t0", "t2", "t3", "t4"}
    with pytest.raises(ValueError, match=r"green\.png"):
        host.rerank(QUERY, native, on_item="raise", **SETTINGS)


def test_a_mixed_list_loses_nothing(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    need_texts(host)
    made = things(photos)
    made[2] = Thing("t2", None, "a dog", None, made[2].metadata)
    told = host.told(host.rerank(QUERY, host.native(made), on_item="keep", **SETTINGS))
    expected = reference(QUERY, [*photos[:2], "a dog", *photos[3:]], on_item="keep")
    assert [each.id for each in told] == [f"t{hit.index}" for hit in expected]
    assert told[-1].id == "t2"
    if host.base:
        assert unscored(told[-1])


def test_what_has_neither_picture_nor_text_stays_below(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    made = things(photos)
    made[0] = Thing("t0", None, None, None, made[0].metadata)
    told = host.told(host.rerank(QUERY, host.native(made), on_item="keep", **SETTINGS))
    assert len(told) == len(made)
    assert told[-1].id == "t0"


def test_eight_cold_threads_load_one_encoder(host: Driver, photos: list[Path]) -> None:
    need_pictures(host)
    counted = cold_encoder()
    native = host.native(things(photos))
    settings = {"reranker": "dot", "encoder": counted.info.name}
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda _: ids(host, host.rerank(QUERY, native, **settings)), range(8))
        )
    assert all(each == found[0] for each in found)
    assert counted.made == 1


def cold_encoder() -> Any:
    """Register an encoder that nobody has used, and that counts how often it is made."""
    name = f"cold{next(NUMBERS)}"

    class Cold(ToyEncoder):
        info = cr.EncoderInfo(name, "counts itself", ToyEncoder.info.features)
        made = 0

        def __init__(self, **params: Any) -> None:
            type(self).made += 1
            super().__init__(**params)

    Cold.__qualname__ = name
    cr.register(Cold)
    return Cold


NUMBERS = count()
