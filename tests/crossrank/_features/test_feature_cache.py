"""Loose items are encoded once, whatever happens to the cache, and never from what has changed."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import crossrank as cr
from crossrank._features.cache import feature_cache
from crossrank.cli import main
from crossrank.errors import ImageError, InputError
from toys.basic import DotReranker, ToyEncoder
from toys.feature_cache import Counting, another_process, call, picture


def watched(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    """Return a list of the first arguments with which something will be called."""
    seen: list[Any] = []
    whole = getattr(owner, name)

    def watching(first: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(first)
        return whole(first, *arguments, **options)

    monkeypatch.setattr(owner, name, watching)
    return seen


def test_the_second_call_encodes_and_opens_nothing(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = call(photos)
    assert Counting.seen == 6
    opened = watched(monkeypatch, Image, "open")
    second = call(photos)
    assert second == first
    assert (Counting.seen, opened) == (6, [])
    another_process(monkeypatch)
    assert call(photos) == first
    assert (Counting.seen, opened) == (7, [])  # texts are kept in memory alone


def test_a_list_is_joined_anew_until_it_comes_again(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = watched(monkeypatch, sys.modules["crossrank._features.cache"], "columns")
    first, *later = [call(photos) for _ in range(4)]
    assert all(each == first for each in later)
    assert len(joined) == 2  # the second time it is kept
    call(photos[:3])
    call(photos)
    assert len(joined) == 4


def test_files_that_settled_are_not_even_read(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossrank._features.contents.SETTLED", -1.0)
    first = call(photos)
    read = watched(monkeypatch, Path, "open")
    assert call(photos) == first
    assert not set(read) & set(photos)


def test_some_known_some_new_some_twice(photos: list[Path]) -> None:
    call(photos[:2])
    seen = Counting.seen
    mixed = [photos[3], photos[0], photos[3], photos[4], photos[1]]
    ranking = call(mixed)
    assert Counting.seen == seen + 2
    whole = call(mixed, cache=False)
    assert [(h.index, h.id) for h in ranking] == [(h.index, h.id) for h in whole]
    assert [h.score for h in ranking] == pytest.approx([h.score for h in whole])


def test_every_form_of_item_is_kept(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    data = photos[0].read_bytes()
    array = np.asarray(Image.open(photos[1]))
    forms = [data, io.BytesIO(photos[2].read_bytes()), array, Image.open(photos[3])]
    first = call(forms)
    seen = Counting.seen
    again = [bytearray(data), photos[2].read_bytes(), array.copy(), Image.open(photos[3])]
    assert [h.score for h in call(again)] == [h.score for h in first]
    assert Counting.seen == seen
    call(["a cat", "two dogs"])
    call(["two dogs", "a cat", "a dog"])
    assert Counting.seen == seen + 2  # "a dog" was the query


def test_a_file_that_changed_is_another_picture(photos: list[Path]) -> None:
    first = call(photos)
    seen = Counting.seen
    stat = photos[0].stat()
    # the same size and times, as `cp --preserve` leaves them: only what is in it differs
    other = photos[0].read_bytes()
    for seed in range(100, 4000):
        picture(photos[0], seed)
        if photos[0].stat().st_size == stat.st_size and photos[0].read_bytes() != other:
            break
    os.utime(photos[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (photos[0].stat().st_size, photos[0].stat().st_mtime_ns) == (
        stat.st_size,
        stat.st_mtime_ns,
    )
    second = call(photos)
    assert Counting.seen == seen + 1
    before, now = ({h.id: h.score for h in each} for each in (first, second))
    assert before[str(photos[0])] != now[str(photos[0])]
    assert {k: v for k, v in before.items() if k != str(photos[0])} == {
        k: v for k, v in now.items() if k != str(photos[0])
    }
    photos[1].unlink()
    with pytest.raises(ImageError, match="not a file"):
        call(photos)
    photos[2].write_bytes(b"nothing")
    with pytest.raises(ImageError, match="not a picture"):
        call(photos[2:])


def test_settled_files_that_change_are_noticed(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossrank._features.contents.SETTLED", -1.0)
    call(photos)
    seen = Counting.seen
    time.sleep(0.02)  # change times have the resolution of the kernel's clock
    picture(photos[0], 77)
    call(photos)
    assert Counting.seen == seen + 1


def test_a_file_written_while_it_is_encoded_is_not_kept(
    photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode_batch = Counting.encode_batch

    def meddling(self: Any, items: Any, modality: str, features: Any) -> Any:
        made = encode_batch(self, items, modality, features)
        if modality == "image":
            picture(photos[0], 99)
        return made

    monkeypatch.setattr(Counting, "encode_batch", meddling)
    call(photos)
    monkeypatch.setattr(Counting, "encode_batch", encode_batch)
    seen = Counting.seen
    call(photos)
    assert Counting.seen == seen + 1


def test_other_encoders_parameters_and_sides_do_not_mix(photos: list[Path]) -> None:
    class Other(Counting):
        info = cr.EncoderInfo(name="other_cache", summary="", features=ToyEncoder.info.features)

        def fingerprint(self) -> str:
            return "other"

    call(photos)
    seen = Counting.seen
    cr.rerank("a dog", photos, "dot", encoder=Other())
    assert Other.seen == seen + 6

    # a feature that was not asked for before is encoded, and both are kept
    class Sized(DotReranker):
        info = cr.RerankerInfo(
            name="sized",
            summary="",
            query_features=("embedding",),
            candidate_features=("embedding", "size"),
        )

    Counting.seen = 0
    cr.rerank("a dog", photos, Sized, encoder="counting_cache")
    cr.rerank("a dog", photos, Sized, encoder="counting_cache")
    call(photos)
    assert Counting.seen == 5


def test_threads_share_it(photos: list[Path]) -> None:
    found: list[cr.Ranking] = []
    threads = [threading.Thread(target=lambda: found.append(call(photos))) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(each == found[0] for each in found)


def test_a_damaged_candidate_costs_one_look_the_next_time(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossrank._features.contents.SETTLED", -1.0)
    photos[2].write_bytes(photos[2].read_bytes()[:120])
    first = call(photos, on_item="keep")
    opened = watched(monkeypatch, Path, "open")
    seen = Counting.seen
    assert call(photos, on_item="keep") == first
    assert Counting.seen <= seen + 1
    assert set(opened) & set(photos) == {photos[2]}


def test_wishes_that_are_none() -> None:
    with pytest.raises(InputError, match="cache is 3; give True, False or a folder"):
        call(["a"], cache=3)
    assert feature_cache(False) is None


def test_no_cache_keeps_nothing(photos: list[Path], folder: Path) -> None:
    call(photos, cache=False)
    call(photos, cache=False)
    assert Counting.seen == 12
    assert not folder.exists()


def test_what_items_bring_along_is_not_kept(folder: Path) -> None:
    for value in (0.0, 1.0):
        vector = np.eye(8, dtype=np.float32)[0] * value
        ranking = cr.rerank(
            "a", [cr.Item("x", text="same", embedding=vector)], "dot", encoder="counting_cache"
        )
        assert (ranking[0].score == 0) == (value == 0)


def test_the_command_shows_verifies_and_clears(photos: list[Path], folder: Path) -> None:
    def run(*options: str) -> dict[str, Any]:
        result = CliRunner().invoke(main, ["cache", "--json", *options])
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)["features"]
        return found

    assert run()["count"] == 0
    assert not folder.exists()
    call(photos)
    shown = run()
    assert shown["folder"] == str(folder)
    (group,) = shown["encoders"]
    assert (group["encoder"], group["modality"], group["items"]) == ("counting_cache", "image", 5)
    assert group["bytes"] == sum(path.stat().st_size for path in folder.glob("*.features"))
    text = CliRunner().invoke(main, ["cache"]).stdout
    assert f"{folder}: 5 items" in text and "counting_cache" in text
    first = min(folder.glob("*.features"))
    first.write_bytes(first.read_bytes()[:-1])
    assert run("--verify")["removed"] == 1
    assert run("--clear", "--encoder", "lite")["removed"] == 0
    assert run("--folder", str(folder))["count"] == 4
    assert run("--clear")["removed"] == 4
    assert run()["count"] == 0
