"""The page's server: what it gives, and to whom."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest

from crossrank.errors import StoreError
from crossrank_dialogue import Chat, DropQuestioner, LabelTopics
from crossrank_dialogue.server import COOKIE, ChatServer
from toys.dialogue import ToyEncoder, captions, gallery

pytest.importorskip("jinja2")
LABELS = [[caption.split()[1]] for caption in captions()]
UNSAFE = '<script>alert("1")</script>&\' onerror=x'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChatServer]:
    questioner = DropQuestioner(LabelTopics())
    chat = Chat(None, gallery(labels=LABELS), "fuse", questioner, encoder=ToyEncoder())
    with ChatServer(chat, save=tmp_path / "talk.json") as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.shutdown()


def request(
    server: ChatServer, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def get(server: ChatServer, path: str = "/", **headers: str) -> tuple[HTTPResponse, str]:
    return request(server, "GET", path, None, Cookie=f"{COOKIE}={server.token}", **headers)


def post(server: ChatServer, fields: dict[str, str], **headers: str) -> HTTPResponse:
    form = {"token": server.token, "round": str(len(server.chat.trace)), **fields}
    given = {
        "Cookie": f"{COOKIE}={server.token}",
        "Content_Type": "application/x-www-form-urlencoded",
        **headers,
    }
    return request(server, "POST", "/", urlencode(form), **given)[0]


def test_a_conversation_by_forms(server: ChatServer, tmp_path: Path) -> None:
    assert "What are you looking for?" in get(server)[1]
    answer = post(server, {"do": "answer", "answer": "brown"})
    assert answer.status == 303 and answer.headers["Location"] == "/"
    shown = get(server)[1]
    assert "Is there a " in shown and server.chat.ranking[0].id in shown
    post(server, {"choice": "yes"})
    assert server.chat.rounds == 1
    post(server, {"do": "another"})
    post(server, {"do": "unknown"})
    post(server, {"do": "undo"})
    assert server.chat.rounds == 1
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert saved == json.loads(get(server, "/conversation.json")[1]) == server.chat.to_json()
    post(server, {"do": "restart"})
    assert not server.chat.trace


def test_a_form_that_is_sent_twice_counts_once(server: ChatServer) -> None:
    first = {"answer": "brown", "round": "0"}
    post(server, first)
    post(server, first)
    assert len(server.chat.trace) == 1


def test_everything_is_escaped(server: ChatServer) -> None:
    post(server, {"answer": UNSAFE})
    post(server, {"answer": UNSAFE})
    shown = get(server)[1]
    assert "<script" not in shown and "&lt;script&gt;" in shown
    assert "http" not in shown.replace("http-equiv", "")  # nothing is loaded from anywhere


def test_what_goes_wrong_is_told_once(server: ChatServer) -> None:
    post(server, {"answer": " "})
    assert "say in words what is looked for" in get(server)[1]
    assert "say in words what is looked for" not in get(server)[1]


def test_the_address_gives_a_cookie_and_is_left(server: ChatServer) -> None:
    path = server.address.partition(str(server.server_port))[2]
    answer, _ = request(server, "GET", path)
    assert answer.status == 303 and answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert server.token in cookie and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert server.server_address[0] == "127.0.0.1"


def test_who_has_no_token_gets_nothing(server: ChatServer) -> None:
    for path in ("/", "/conversation.json", "/?token=wrong", "/?token=%ff"):
        answer, text = request(server, "GET", path)
        assert answer.status == 403 and "crossrank chat printed" in text
    assert request(server, "GET", "/", Cookie=f"{COOKIE}=wrong")[0].status == 403
    assert post(server, {"token": "wrong", "answer": "x"}).status == 403
    assert post(server, {"answer": "x"}, Cookie="a=b").status == 403
    assert not server.chat.trace


def test_other_sites_get_nothing(server: ChatServer) -> None:
    assert get(server, Host="evil.example")[0].status == 403
    assert post(server, {"answer": "x"}, Origin="http://evil.example").status == 403
    assert post(server, {"answer": "x"}, Origin="null").status == 403
    assert not server.chat.trace
    here = f"http://localhost:{server.server_port}"
    assert (
        post(server, {"answer": "x"}, Origin=here, Host=here.removeprefix("http://")).status == 303
    )


def test_what_is_no_form(server: ChatServer) -> None:
    assert post(server, {}, Content_Type="application/json").status == 415
    assert post(server, {"answer": "x"}, Content_Length="2000000").status == 413
    assert post(server, {}, Content_Length="-1").status == 413
    assert post(server, {str(n): "" for n in range(30)}).status == 400
    assert get(server, "/../etc/passwd")[0].status == 404
    assert request(server, "PUT", "/")[0].status == 501
    assert not server.chat.trace


def test_every_answer_forbids_what_is_not_needed(server: ChatServer) -> None:
    answer, text = get(server)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'; img-src data:" in text and "script-src" not in text


def test_a_port_that_is_taken(server: ChatServer) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        ChatServer(server.chat, server.server_port)
