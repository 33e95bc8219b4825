"""``crossrank encode`` and ``plugins``: what comes out, what is refused, and resuming."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossrank import Collection

from .conftest import Child, Cli


def test_a_folder_of_pictures(cli: Cli, photos: Path) -> None:
    shown = cli("encode", photos, "--encoder", "toy", "-o", "gallery").stdout
    assert shown == "gallery: 3 images with embedding, path\n"
    made = Collection.open("gallery")
    assert made.ids == ("a.jpg", "b.PNG", "in%20side/c%20d.jpeg")
    assert made.modality == "image"
    assert made["path"][2] == str(photos / "in side" / "c d.jpeg")


def test_texts_as_json(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("a dog\na cat\n")
    shown = cli(
        *("encode", "q.txt", "--encoder", "toy", "--features", "tokens, embedding"),
        *("--param", "dim=4", "--batch-size", "1", "-o", "deep/er/q", "--json"),
    ).stdout
    made = Collection.open("deep/er/q")
    assert json.loads(shown) == {
        "output": "deep/er/q",
        "count": 2,
        "modality": "text",
        "encoder": made.encoder,
        "features": list(made.features),
    }
    assert made.ids == ("1", "2")
    assert made["embedding"].shape == (2, 4)
    assert set(made.features) == {"tokens", "embedding", "text"}


def test_tokens_in_fewer_bytes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("a dog\na cat\n")
    encode = ("encode", "q.txt", "--encoder", "toy", "--features", "tokens", "-o", "q")
    assert "give one of float32" in cli(*encode, "--store-dtype", "tokens=int4", code=2).stderr
    cli(*encode, "--store-dtype", "tokens=int8")
    assert np.load("q/tokens.npy").dtype == np.int8


def test_items_that_have_both_sides(cli: Cli, photos: Path) -> None:
    line = {"id": "x", "text": "a dog", "image": "photos/a.jpg"}
    Path("both.jsonl").write_text(json.dumps(line))
    encode = ("encode", "both.jsonl", "--encoder", "toy", "-o", "c")
    assert "say --modality image or --modality text" in cli(*encode, code=2).stderr
    cli(*encode, "--modality", "text")
    assert Collection.open("c")["text"][0] == "a dog"


def test_a_bar_only_on_request_when_there_is_no_terminal(cli: Cli, photos: Path) -> None:
    assert cli("encode", photos, "--encoder", "toy", "-o", "a").stderr == ""
    assert (
        "encode images" in cli("encode", photos, "--encoder", "toy", "-o", "b", "--progress").stderr
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--encoder", "toi"], "'toy'"),
        (["--encoder", "toy", "--features", "words"], "gives no 'words' of texts"),
        (["--encoder", "toy", "--features", ""], "gives no ''"),
        (["--encoder", "toy", "--param", "dmi=3"], "did you mean 'dim'"),
        (["--encoder", "toy", "--param", "dim"], "is not KEY=VALUE"),
        (["--encoder", "toy", "--batch-size", "0"], "batch_size is 0"),
        (["--encoder", "toy", "--modality", "image"], "has no image"),
        (["--encoder", "toy", "--modality", "sound"], "is not one of"),
        (["--encoder", "toy", "--param", "dim=200"], "the encoder 'toy' failed on items '1' to"),
    ],
)
def test_bad_options(cli: Cli, tmp_path: Path, options: list[str], says: str) -> None:
    (tmp_path / "q.txt").write_text("a dog\na cat\n")
    assert says in cli("encode", "q.txt", *options, "-o", "c", code=2).stderr
    assert not Path("c").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.txt", b"a\n\nb\n", "q.txt:2 has an empty text"),
        ("q.jsonl", b'{"id": "a b", "text": "x"}', "q.jsonl:1 has the id 'a b'"),
        ("q.jsonl", b'{"id": 1, "text": "x"}\n{"id": 1, "text": "y"}', "q.jsonl:2 has the id '1'"),
        ("q.jsonl", b'{"id": 1, "text": "x"}\n{"id": 2, "image": "q.jsonl"}', "--modality image"),
        ("q.jsonl", b'{"id": 2, "image": "q.jsonl"}', "is not a picture"),
    ],
)
def test_bad_input(cli: Cli, name: str, content: bytes, says: str) -> None:
    Path(name).write_bytes(content)
    assert says in cli("encode", name, "--encoder", "toy", "-o", "c", code=2).stderr
    assert not Path("c").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "zero bytes"), (b"GIF89a\x01", "not a picture"), (b"text", "not a picture")],
)
def test_bad_pictures(cli: Cli, photos: Path, content: bytes, says: str) -> None:
    (photos / "bad.gif").write_bytes(content)
    error = cli("encode", photos, "--encoder", "toy", "-o", "c", code=2).stderr
    assert says in error
    assert "bad.gif" in error
    assert not Path("c").exists()


def test_a_picture_cut_short(cli: Cli, photos: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(photos / "whole.png")
    whole = (photos / "whole.png").read_bytes()
    (photos / "whole.png").write_bytes(whole[: len(whole) // 2])
    error = cli("encode", photos, "--encoder", "toy", "-o", "c", code=2).stderr
    assert "whole.png is damaged" in error
    assert not Path("c").exists()


def test_an_existing_folder_is_refused_before_anything_else(cli: Cli, photos: Path) -> None:
    cli("encode", photos, "--encoder", "toy", "-o", "c")
    before = sorted(Path("c").iterdir())
    assert "c exists already" in cli("encode", "gone", "--encoder", "toy", "-o", "c", code=2).stderr
    assert sorted(Path("c").iterdir()) == before


def test_an_output_below_a_file(cli: Cli, photos: Path) -> None:
    Path("file").write_text("x")
    cli("encode", photos, "--encoder", "toy", "-o", "file/c", code=2)


def test_a_killed_encode_goes_on_where_it_was(child: Child, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"text {n}\n" for n in range(600)))
    command = ("encode", "texts.txt", "--encoder", "toy", "-o", "c")
    log = tmp_path / "log"
    killed = child(*command, TOY_LOG=str(log), TOY_SIGNAL_AT=f"520:{signal.SIGKILL.value}")
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "c").exists()
    assert (tmp_path / "c.partial").is_dir()
    log.unlink()
    assert child(*command, TOY_LOG=str(log)).returncode == 0
    again = {int(line) for line in log.read_text().split()}
    assert again == set(range(513, 601))
    assert not (tmp_path / "c.partial").exists()
    assert child("encode", "texts.txt", "--encoder", "toy", "-o", "d").returncode == 0
    assert Collection.open(tmp_path / "c") == Collection.open(tmp_path / "d")


def test_a_disk_that_is_full(cli: Cli, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    error = cli("encode", photos, "--encoder", "toy", "-o", "c", code=2).stderr
    assert "free some space" in error
    assert not Path("c").exists()


def test_plugins_lists_what_is_there_and_what_is_broken(cli: Cli) -> None:
    shown = cli("plugins").stdout
    assert [line.split() for line in shown.splitlines() if "toy_blunt" in line] == [
        ["reranker", "toy_blunt", "toy", "1.0", "Scores", "by", "row."]
    ]
    broken = next(line for line in shown.splitlines() if "toy_broken" in line)
    assert "BROKEN: the reranker 'toy_broken' of toy 1.0 could not be loaded" in broken
    assert broken.endswith("(second line)")


def test_plugins_as_json(cli: Cli) -> None:
    records = json.loads(cli("plugins", "--json").stdout)
    found = {(record["kind"], record["name"]): record for record in records}
    assert found["encoder", "toy"] == {
        "kind": "encoder",
        "name": "toy",
        "distribution": "toy 1.0",
        "summary": "Hashes.",
        "paper": "",
        "error": "",
    }
    assert "half_installed" in found["reranker", "toy_broken"]["error"]
    assert "half_installed" in found["command", "toy-crash"]["error"]
