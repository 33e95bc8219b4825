from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from crossrank.errors import InputError, ParameterError, PluginError, StoreError
from crossrank_dialogue import CachedModel, OpenAIModel
from toys.dialogue import scripted

ASKED = [{"role": "user", "content": "hello"}]


class Handler(BaseHTTPRequestHandler):
    """A server of OpenAI's protocol that does what the path says."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append({**json.loads(body), "key": self.headers.get("Authorization")})
        reply: Any = {"choices": [{"message": {"content": "a dog"}}]}
        status = 200
        if "broken" in self.path:
            reply = {"error": "no"}
        elif "null" in self.path:
            reply["choices"][0]["message"]["content"] = None
        elif "busy" in self.path:
            status = 503
        elif "elsewhere" in self.path:
            status = 307
        self.send_response(status)
        if status == 307:
            self.send_header("Location", self.path.replace("elsewhere", "v1"))
        self.end_headers()
        for byte in json.dumps(reply).encode():
            self.wfile.write(bytes([byte]))
            if "slow" in self.path:
                time.sleep(0.05)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


def test_an_address_is_asked_at_temperature_0(server: str) -> None:
    model = OpenAIModel(f"{server}/v1/", "small", key="secret")
    assert model(ASKED) == "a dog"
    asked = Handler.seen[-1]
    assert asked["messages"] == ASKED
    assert (asked["model"], asked["temperature"]) == ("small", 0)
    assert asked["key"] == "Bearer secret" and "secret" not in repr(model)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("broken", r"without choices\[0\]"),
        ("busy", "refused with 503"),
        ("elsewhere", "refused with 307"),
        ("null", "answered nothing"),
    ],
)
def test_a_server_that_fails(server: str, path: str, says: str) -> None:
    with pytest.raises(PluginError, match=says):
        CachedModel(f"{server}/{path}")(ASKED)


def test_a_model_that_is_down_or_slow(server: str) -> None:
    with pytest.raises(PluginError, match="cannot be reached"):
        CachedModel("http://127.0.0.1:9/v1")(ASKED)
    with pytest.raises(PluginError, match=r"within 0\.1 s"):
        CachedModel(f"{server}/slow", timeout=0.1)(ASKED)


@pytest.mark.parametrize("url", ["localhost:8000", "file:///etc/passwd", "http://"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ParameterError, match="give one such as"):
        CachedModel(url)


def test_replies_are_kept_by_what_was_asked(tmp_path: Path) -> None:
    model = scripted(("", "a cat"))
    cached = CachedModel(model, name="one", folder=tmp_path / "replies")
    assert [cached(ASKED), cached(ASKED)] == ["a cat"] * 2
    assert CachedModel(model, name="one", folder=tmp_path / "replies")(ASKED) == "a cat"
    assert len(model.asked) == 1
    assert CachedModel(model, name="two", folder=tmp_path / "replies")(ASKED) == "a cat"
    assert len(model.asked) == 2
    for path in (tmp_path / "replies").iterdir():
        path.write_text("{")
    assert CachedModel(model, name="one", folder=tmp_path / "replies")(ASKED) == "a cat"
    assert len(model.asked) == 3


@pytest.mark.parametrize(
    ("reply", "says"), [("", "answered nothing"), (" \n", "nothing"), (3, "returned a int")]
)
def test_replies_that_are_none_are_not_kept(reply: Any, says: str) -> None:
    answers = [reply, "a dog"]
    cached = CachedModel(lambda messages: answers.pop(0))
    with pytest.raises(PluginError, match=says):
        cached(ASKED)
    assert cached(ASKED) == "a dog"


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="callable messages → str"):
        CachedModel(3)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="give name="):
        CachedModel(lambda messages: "x", folder=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="give another folder"):
        CachedModel(lambda messages: "x", name="x", folder=tmp_path / "file")(ASKED)
