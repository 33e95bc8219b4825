"""Encoding: batches, folders, resuming after a kill, and encoders that misbehave."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    DuplicateIdError,
    ImageError,
    InputError,
    MissingFeatureError,
    PluginError,
    StoreError,
)
from toys.basic import ToyEncoder

TEXTS = [f"word {'x' * (n % 7)} {n}" for n in range(600)]


def test_the_batch_size_changes_nothing() -> None:
    whole = cr.encode(ToyEncoder(), TEXTS, batch_size=600)
    assert cr.encode(ToyEncoder(), TEXTS, batch_size=7) == whole
    assert whole.features == ("embedding", "tokens", "text")
    assert whole.ids[:2] == ("0", "1")
    assert whole.encoder is not None and whole.encoder.startswith("toy:")


def test_a_folder_holds_the_same_as_memory(tmp_path: Path) -> None:
    in_memory = cr.encode(ToyEncoder(), TEXTS)
    on_disk = cr.encode(ToyEncoder(), TEXTS, out=tmp_path / "out")
    assert on_disk == in_memory
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(StoreError, match="exists already"):
        cr.encode(ToyEncoder(), TEXTS, out=tmp_path / "out")


def test_a_folder_may_hold_tokens_in_fewer_bytes(tmp_path: Path) -> None:
    whole = cr.encode(ToyEncoder(), TEXTS)
    made = cr.encode(
        ToyEncoder(),
        TEXTS,
        out=tmp_path / "out",
        batch_size=200,
        store_dtype={"tokens": "int8", "embedding": "float16"},
    )
    whole.save(tmp_path / "whole", dtype={"tokens": "int8", "embedding": "float16"})
    again = cr.Collection.open(tmp_path / "whole")
    assert made == again
    assert made.fingerprint() == again.fingerprint()
    assert made["embedding"].dtype == np.float16


@pytest.mark.parametrize(
    ("dtypes", "match"),
    [
        ({"tokens": "int4"}, "cannot be stored as 'int4'; give one of float32"),
        ({"token": "int8"}, "store_dtype names 'token', which is not encoded.*tokens"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_the_work(
    tmp_path: Path, dtypes: dict[str, str], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        cr.encode(Failing(), ["a"], out=tmp_path / "out", store_dtype=dtypes)
    with pytest.raises(InputError, match="store_dtype does nothing without out"):
        cr.encode(Failing(), ["a"], store_dtype={"tokens": "int8"})


def test_pictures_keep_their_paths(tmp_path: Path) -> None:
    Image.new("RGB", (5, 3), "red").save(tmp_path / "a.png")
    made = cr.encode(ToyEncoder(), [tmp_path / "a.png"], features=("size", "token_boxes"))
    assert made.features == ("size", "token_boxes", "path")
    assert made["size"].tolist() == [[5, 3]]
    assert made["path"] == (str(tmp_path / "a.png"),)


def test_what_every_item_brings_along_is_not_computed() -> None:
    items = [cr.Item(text=text, embedding=np.eye(2, dtype=np.float32)[0]) for text in "ab"]
    made = cr.encode(Failing(), items, features=("embedding",))
    assert made["embedding"].tolist() == [[1, 0], [1, 0]]


class Failing(ToyEncoder):
    def encode_batch(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        raise RuntimeError("no weights")


class Returning(ToyEncoder):
    def __init__(self, made: Mapping[str, Any]) -> None:
        super().__init__()
        self.made = made

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        return self.made


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Failing(), "failed on items '0' to '1': RuntimeError: no weights"),
        (Returning({}), "did not return"),
        (Returning({"embedding": np.zeros((3, 2))}), "3 entries of 'embedding' for 2 items"),
        (Returning({"embedding": np.array([[0.0], [np.nan]])}), "'1' a 'embedding' that is not"),
        (
            Returning({"embedding": cr.Ragged(np.array([[0.0], [np.inf]]), [1, 1])}),
            "'1' a 'embedding' that is not",
        ),
    ],
)
def test_an_encoder_that_misbehaves_is_named(
    tmp_path: Path, encoder: cr.Encoder, message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        cr.encode(encoder, ["a", "b"], features=("embedding",), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    good = tmp_path / "good.png"
    Image.new("RGB", (4, 4)).save(good)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    cases: list[tuple[type[Exception], str, list[Any], dict[str, Any]]] = [
        (ImageError, "bad.png", [good, tmp_path / "bad.png"], {}),
        (InputError, "empty", ["a", ""], {}),
        (InputError, "no image", [cr.Item("x", text="a")], {"modality": "image"}),
        (InputError, "no text", [good], {"modality": "text"}),
        (InputError, "image, text", ["a", good], {}),
        (InputError, "modality is 'video'", ["a"], {"modality": "video"}),
        (DuplicateIdError, "'x'", [cr.Item("x", text="a"), cr.Item("x", text="b")], {}),
        (MissingFeatureError, "did you mean 'tokens'", ["a"], {"features": ("token",)}),
        (InputError, "batch_size", ["a"], {"batch_size": 0}),
        (InputError, "built already", ["a"], {"model": "x"}),
    ]
    for kind, message, items, options in cases:
        with pytest.raises(kind, match=message):
            cr.encode(ToyEncoder(), items, out=tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.partial").exists()


def test_one_broken_picture_does_not_lose_the_others(tmp_path: Path) -> None:
    """Damage behind the header shows late: what is finished stays and is used again."""
    rng = np.random.default_rng(0)
    paths = []
    for n in range(300):
        paths.append(tmp_path / f"{n}.png")
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(paths[-1])
    paths[290].write_bytes(paths[290].read_bytes()[:400])
    with pytest.raises(ImageError, match=r"290\.png is damaged"):
        cr.encode(ToyEncoder(), paths, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    finished = [path.name for path in (tmp_path / "out.partial").iterdir()]
    assert len(finished) == 1
    made = cr.encode(Counting(), paths[:290] + paths[291:], out=tmp_path / "out")
    assert len(made) == 299
    assert Counting.seen == 299 - 256
    assert not (tmp_path / "out.partial").exists()


class Counting(ToyEncoder):
    seen = 0

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        Counting.seen += len(items)
        return super().encode_batch(items, modality, features)

    def fingerprint(self) -> str:
        return ToyEncoder().fingerprint()


SLOW = """
import sys, time
sys.path.insert(0, {tests!r})
import crossrank as cr
from toys.basic import ToyEncoder

class Slow(ToyEncoder):
    def encode_batch(self, items, modality, features):
        time.sleep(0.02)
        return super().encode_batch(items, modality, features)
    def fingerprint(self):
        return "slow"

cr.encode(Slow(), [f"word {{n}}" for n in range(2000)], out={out!r})
"""


def test_what_a_kill_leaves_beside_a_finished_folder_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collection has appeared, its shards are still there: the same call ends well."""
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    expected = cr.encode(ToyEncoder(), TEXTS, features=("embedding",))
    more = [*TEXTS, "one more"]

    def killed_at_its_end(texts: list[str], **options: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            cr.encode(ToyEncoder(), texts, **options)
        assert any(partial.iterdir())

    killed_at_its_end(TEXTS, out=out, features=("embedding",))
    for shard in list(partial.iterdir())[1:]:  # or while it removed them
        (shard / "embedding.npy").unlink()
    assert cr.encode(ToyEncoder(), TEXTS, out=out, features=("embedding",)) == expected
    assert not partial.exists()
    with pytest.raises(StoreError, match="exists already"):
        cr.encode(ToyEncoder(), TEXTS, out=out, features=("embedding",))

    killed_at_its_end(TEXTS, add_to=out, features=("tokens",))
    cr.encode(ToyEncoder(), TEXTS, add_to=out, features=("tokens",))
    assert not partial.exists()

    killed_at_its_end(more, out=out, append=True, reuse=True)
    assert len(cr.encode(ToyEncoder(), more, out=out, append=True, reuse=True)) == len(more)
    assert not partial.exists()


def test_shards_to_go_on_from_stay_beside_a_folder_that_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    cr.encode(ToyEncoder(), TEXTS[:20], out=out, features=("embedding",))
    with monkeypatch.context() as patch:
        patch.setattr(cr.Collection, "save", stops_after_one_shard(cr.Collection.save))
        with pytest.raises(KeyboardInterrupt):
            cr.encode(ToyEncoder(), TEXTS, out=out, append=True, reuse=True)
    kept = sorted(partial.iterdir())
    assert len(kept) == 1
    with pytest.raises(StoreError, match="exists already"):
        cr.encode(ToyEncoder(), TEXTS[:20], out=out, features=("embedding",))
    assert sorted(partial.iterdir()) == kept


def stops_after_one_shard(save: Callable[..., None]) -> Callable[..., None]:
    saved: list[bool] = []

    def limited(*arguments: Any, **options: Any) -> None:
        if saved:
            raise KeyboardInterrupt
        save(*arguments, **options)
        saved.append(True)

    return limited


@pytest.mark.skipif(not hasattr(os, "kill"), reason="needs SIGKILL")
def test_a_killed_encode_resumes_and_gives_the_same(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    outs = [tmp_path / "killed", tmp_path / "whole"]
    codes = [SLOW.format(tests=tests, out=str(out)) for out in outs]
    process = subprocess.Popen([sys.executable, "-c", codes[0]])
    partial = tmp_path / "killed.partial"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (partial.is_dir() and any(partial.iterdir())):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not outs[0].exists()
    for code in codes:
        subprocess.run([sys.executable, "-c", code], check=True)
    assert cr.Collection.open(outs[0]) == cr.Collection.open(outs[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]
