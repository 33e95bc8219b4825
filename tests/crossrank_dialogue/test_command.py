"""``crossrank chat`` as somebody types it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import CrossrankError
from crossrank_dialogue.command import command
from crossrank_dialogue.pictures import open_gallery
from toys.dialogue import ToyEncoder, captions


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cr.register(ToyEncoder)
    yield tmp_path / "cache"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for caption in captions()[::6]:
        name = caption.replace(" ", "-")
        Image.new("RGB", (8, 6), name.split("-")[0]).save(folder / f"{name}.png")
    return folder


def chat(photos: Path, typed: str, *options: str, code: int = 0) -> str:
    arguments = ["--gallery", str(photos), "--encoder", "toy", *options]
    found: Result = CliRunner().invoke(command, arguments, input=typed)
    if code == 0:
        assert found.exit_code == 0, (found.output, found.exception)
        return found.output
    assert found.exit_code == code or isinstance(found.exception, CrossrankError)
    return f"{found.output}{found.exception}"


def test_it_is_a_command_of_the_program(photos: Path) -> None:
    arguments = ["chat", "--gallery", str(photos), "--encoder", "toy"]
    assert CliRunner().invoke(main, arguments, input="brown\n").exit_code == 0
    refused = CliRunner().invoke(main, [*arguments, "--depth", "x"])
    assert refused.exit_code == 2 and "--depth" in refused.output


def test_talking(photos: Path) -> None:
    said = chat(photos, "brown\n\nsnow\n/why\n/show 2\n/another\n/undo\n/trace\n/quit\n")
    assert said.startswith("16 pictures, search alone; /help for help")
    assert "What are you looking for?" in said and "That leaves the list as it is." in said
    assert "searched for (1): brown" in said and "nats expected" in said
    first = said.partition("by search")[2].splitlines()[1]
    assert "brown" in first


def test_the_end_of_the_input_ends_it(photos: Path) -> None:
    assert chat(photos, "").endswith("> \n")
    assert chat(photos, "\n\n").count("What are you looking for?") == 3


def test_what_is_no_command(photos: Path) -> None:
    said = chat(photos, "/unod\n/undo\n/show\n/save\n/help\n")
    assert "did you mean '/undo'" in said and "nothing to take back" in said
    assert "nothing was looked for yet" in said and "say where to" in said


def test_photographs_are_encoded_once(photos: Path, cache: Path) -> None:
    chat(photos, "")
    (store,) = (cache / "crossrank" / "chat").iterdir()
    before = (store / "collection.json").stat().st_mtime_ns
    chat(photos, "")
    assert (store / "collection.json").stat().st_mtime_ns == before
    Image.new("RGB", (8, 6)).save(photos / "white-dog-snow.png")
    assert chat(photos, "").startswith("17 pictures")
    named = photos.parent / "features"
    made = open_gallery(photos, "toy", [], named)
    assert made == cr.Collection.open(named) and chat(named, "").startswith("17 pictures")


def test_saved_and_resumed(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    chat(photos, "brown\nsnow\n", "--save", str(path))
    record = json.loads(path.read_text())
    assert record["dialogue"]["caption"] == "brown" and len(record["rounds"]) == 2
    said = chat(photos, "dog\n", "--resume", str(path))
    assert "> brown" in said and "> snow" in said
    assert len(json.loads(path.read_text())["rounds"]) == 3
    next(photos.glob("*dog*")).unlink()
    assert "changed" in chat(photos, "", "--resume", str(path), code=2)
    assert chat(photos, "", "--resume", str(path), "--changed-gallery")
    assert "is no file" in chat(photos, "", "--resume", str(tmp_path / "x"), code=2)


def test_a_model_rewrites_and_asks(photos: Path) -> None:
    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            system = asked["messages"][0]["content"]
            reply = "a blue dog" if "Write one caption" in system else "Is it blue?"
            reply = "uncertain" if "If what is known" in system else reply
            self.send_response(200)
            self.end_headers()
            record = {"choices": [{"message": {"content": reply}}]}
            self.wfile.write(json.dumps(record).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        said = chat(photos, "dog\nyes\n/why\n", "--llm", url)
        server.shutdown()
    assert "Is it blue?" in said and "searched for (0.7): a blue dog" in said


def test_a_model_that_is_down_is_no_end(photos: Path) -> None:
    said = chat(photos, "brown\nsnow\n", "--llm", "http://127.0.0.1:9/v1", "--no-ask")
    assert "rewritten without the model: the language model at http://127.0.0.1:9/v1" in said


def test_what_would_steer_a_terminal_is_not_printed(photos: Path) -> None:
    said = chat(photos, "brown \x1b[2J\x07\n/trace\n", "--no-ask")
    assert "\x1b" not in said and "\x07" not in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--stage", "no-such"], "no-such"),
        (["--llm", "localhost:1"], "give one such as"),
        (["--depth", "0"], "0"),
        (["--rewrite", "x"], "x"),
    ],
)
def test_bad_options(photos: Path, options: list[str], says: str) -> None:
    assert says in chat(photos, "", *options, code=2)


def test_a_folder_that_is_none_or_empty(tmp_path: Path) -> None:
    assert "is not a folder" in chat(tmp_path / "none", "", code=2)
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in chat(tmp_path / "empty", "", code=2)
