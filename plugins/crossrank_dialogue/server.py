"""A server for one conversation and one person, on this machine only."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crossrank.errors import CrossrankError, StoreError
from crossrank.report import check_jinja
from crossrank_dialogue.chat import Chat
from crossrank_dialogue.page import render

HOST = "127.0.0.1"
COOKIE = "crossrank-chat"
LONGEST_FORM = 1_000_000
"""Bytes."""

SAFE = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    # not "no-referrer": a browser would send our own forms with the origin "null"
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with everything."""


class ChatServer(ThreadingHTTPServer):
    """Serves a conversation as a page that any browser shows, without scripts or other files.

    Only who brings the token gets anything: it stands in the address that is printed, then in a
    cookie that other sites cannot send, and in every form.

    Parameters
    ----------
    chat
        The conversation; requests take turns.
    port
        0 for a free one.
    save
        Where it is written after every answer.

    Raises
    ------
    StoreError
        If the port is taken.
    MissingPackageError
        If Jinja2 is not installed.
    """

    daemon_threads = True

    def __init__(self, chat: Chat, port: int = 0, save: Path | None = None) -> None:
        check_jinja("dialogue", "the page")
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise StoreError(
                f"port {port} cannot be used: {error.strerror}; give another"
            ) from error
        self.chat = chat
        self.save = save
        self.token = secrets.token_urlsafe(24)
        self.turn = threading.Lock()
        self.message = ""

    @property
    def address(self) -> str:
        """What to open: it carries the token."""
        return f"http://{HOST}:{self.server_port}/?token={self.token}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: ChatServer
    server_version = "crossrank"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Give the page, or the conversation as a file."""
        if not self._from_here():
            return
        parts = urlsplit(self.path)
        offered = parse_qs(parts.query).get("token", [""])[0]
        if parts.path == "/" and _same(offered, self.server.token):
            # the token leaves the address, where it would stay in the history
            cookie = f"{COOKIE}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
            self._redirect({"Set-Cookie": cookie})
        elif not self._is_known():
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that crossrank chat printed")
        elif parts.path == "/":
            with self.server.turn:
                page = render(self.server.chat, self.server.token, self.server.message)
                self.server.message = ""
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", page.encode())
        elif parts.path == "/conversation.json":
            with self.server.turn:
                record = self.server.chat.to_json()
            content = json.dumps(record, ensure_ascii=False, indent=1).encode()
            more = {"Content-Disposition": 'attachment; filename="conversation.json"'}
            self._send(HTTPStatus.OK, "application/json; charset=utf-8", content, more)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")

    def do_POST(self) -> None:
        """Take an answer, or what a button says, and show the page again."""
        if not self._from_here():
            return
        form = self._form()
        if form is None:
            return
        if not self._is_known() or not _same(form.get("token", ""), self.server.token):
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that crossrank chat printed")
            return
        with self.server.turn:
            # a form that was sent twice, or from a page of an earlier round, does nothing
            if form.get("round") == str(len(self.server.chat.trace)):
                try:
                    _do(self.server.chat, form)
                    if self.server.save is not None:
                        self.server.chat.save(self.server.save)
                except CrossrankError as error:
                    self.server.message = str(error)
        self._redirect({})

    def _from_here(self) -> bool:
        """Refuse names that another site made point to this machine, and forms of other sites."""
        port = self.server.server_port
        hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin")
        here = self.headers.get("Host") in hosts
        if here and (origin is None or origin in {f"http://{host}" for host in hosts}):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "this page is for this machine only")
        return False

    def _is_known(self) -> bool:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            found = None
        return found is not None and _same(found.value, self.server.token)

    def _form(self) -> dict[str, str] | None:
        """Return the fields of a form; None where it is none, which is answered here."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        if not (length.isascii() and length.isdecimal()) or int(length) > LONGEST_FORM:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "that is too long")
            return None
        if kind != "application/x-www-form-urlencoded":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a form")
            return None
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        try:
            fields = parse_qs(body, keep_blank_values=True, max_num_fields=20)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "send a form of this page")
            return None
        return {name: values[-1] for name, values in fields.items()}

    def _redirect(self, headers: dict[str, str]) -> None:
        self._send(HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": "/", **headers})

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        # what the request still has to say is not read: the connection must not be used again
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", f"{why}\n".encode())

    def _send(
        self, status: HTTPStatus, kind: str, content: bytes, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {**SAFE, **({} if more is None else more)}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing: addresses carry the token, and answers are nobody's business."""


def serve(
    chat: Chat, *, port: int = 0, save: Path | None = None, say: Callable[[str], object]
) -> None:
    """Serve a conversation until somebody interrupts."""
    with ChatServer(chat, port, save) as server:
        say(f"open {server.address}\nCtrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")


def _do(chat: Chat, form: dict[str, str]) -> None:
    action = form.get("do", "answer")
    if action == "undo":
        chat.undo()
    elif action == "another":
        chat.another()
    elif action == "restart":
        chat.restart()
    elif action == "unknown":
        chat.answer("unknown")
    else:
        chat.answer(form.get("choice") or form.get("answer", ""))


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode())
