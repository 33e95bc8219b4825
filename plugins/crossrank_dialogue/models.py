"""Language models that somebody brings: a callable, or an address that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import crossrank as cr
from crossrank.errors import InputError, ParameterError, PluginError, StoreError
from crossrank.plugin.files import atomic_file, parse_json, read_json

Message: TypeAlias = Mapping[str, str]
"""``{"role": "system" or "user", "content": …}``."""

Model: TypeAlias = Callable[[Sequence[Message]], str]
"""Messages in, the reply out."""

LONGEST_REPLY = 4_000_000
"""Bytes of a reply that are read: 10⁵ words fit, an endless stream does not."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses to follow: the key would go along to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class OpenAIModel:
    """A model behind an OpenAI-compatible address, asked at temperature 0.

    Parameters
    ----------
    url
        Such as ``"http://localhost:8000/v1"``; ``/chat/completions`` is added.
    name
        Of the model, as the server knows it.
    key
        Sent as a bearer token; never shown or saved.
    timeout
        Seconds that the server may be silent.

    Raises
    ------
    ParameterError
        If the address is none of http or https.
    """

    url: str
    name: str = "default"
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ParameterError(
                f"OpenAIModel: the address is {self.url!r:.80}; give one such as "
                "http://localhost:8000/v1"
            )

    def __call__(self, messages: Sequence[Message]) -> str:
        """Return the reply.

        Raises
        ------
        PluginError
            If the server cannot be reached, refuses, or answers with something else.
        """
        asked = {"model": self.name, "messages": list(messages), "temperature": 0}
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions", json.dumps(asked).encode(), headers
        )
        try:
            opener = urllib.request.build_opener(_NoRedirects)
            with opener.open(request, timeout=self.timeout) as answer:
                body = answer.read(LONGEST_REPLY)
        except urllib.error.HTTPError as error:
            raise PluginError(
                f"the language model at {self.url} refused with {error.code} {error.reason}; check "
                "the address, the model's name and the key"
            ) from error
        except (OSError, ValueError) as error:
            raise PluginError(
                f"the language model at {self.url} cannot be reached: {error}; is it running?"
            ) from error
        try:
            reply = parse_json(body)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise PluginError(
                f"the language model at {self.url} answered without choices[0].message.content; "
                "give the address of an OpenAI-compatible server"
            ) from error
        return "" if reply is None else str(reply)


class CachedModel:
    """A model whose replies are kept by what it was asked, in memory and, if wished, in a folder.

    Parameters
    ----------
    model
        A callable, or the address of an OpenAI-compatible server.
    name
        What tells its replies from those of other models in the same folder; an `OpenAIModel` has
        one, a callable with a folder needs one.
    folder
        Where replies are kept over processes; made if need be.
    timeout
        Seconds after which a model that has not answered counts as failed.

    Raises
    ------
    InputError
        If `model` is neither.
    ParameterError
        If a callable with a folder has no name, or an address is none.

    Notes
    -----
    Failures and empty replies are not kept.  A callable that runs on after `timeout` cannot be
    stopped: its thread ends with the process.
    """

    def __init__(
        self,
        model: Model | str,
        *,
        name: str | None = None,
        folder: str | Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        made: Any = OpenAIModel(model, timeout=timeout) if isinstance(model, str) else model
        if not callable(made):
            raise InputError(
                f"a language model is {model!r:.80}; give a callable messages → str, or an address"
            )
        if name is None and isinstance(made, OpenAIModel):
            name = f"{made.url} {made.name}"
        if name is None and folder is not None:
            raise ParameterError(
                "CachedModel: replies of a callable cannot be told from another's in the same "
                "folder; give name="
            )
        self.model: Model = made
        self.name = name
        self.folder = None if folder is None else Path(folder)
        self.timeout = timeout
        self._replies: dict[str, str] = {}

    def __call__(self, messages: Sequence[Message]) -> str:
        """Return the reply, asking only if the same was not asked before.

        Raises
        ------
        PluginError
            If the model raises, takes too long, or answers nothing.
        """
        key = cr.fingerprint([self.name, [dict(message) for message in messages]])
        if key not in self._replies:
            kept = self._kept(key)
            if kept is None:
                kept = ask(self.model, messages, self.timeout)
                self._keep(key, messages, kept)
            self._replies[key] = kept
        return self._replies[key]

    def _kept(self, key: str) -> str | None:
        """Return what the folder has; a file that is damaged counts as none."""
        if self.folder is None:
            return None
        try:
            reply = read_json(self.folder / f"{key}.json")["reply"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return reply if isinstance(reply, str) and reply.strip() else None

    def _keep(self, key: str, messages: Sequence[Message], reply: str) -> None:
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"replies cannot be kept in {self.folder}: {error.strerror}; give another folder"
            ) from error
        with atomic_file(self.folder / f"{key}.json") as file:
            said = {"model": self.name, "messages": [dict(m) for m in messages], "reply": reply}
            json.dump(said, file, ensure_ascii=False)


def as_model(model: Model | str) -> CachedModel:
    """Return a model whose replies are kept, for a callable, an address, or one that is so."""
    return model if isinstance(model, CachedModel) else CachedModel(model)


def ask(model: Model, messages: Sequence[Message], timeout: float) -> str:
    """Return what a model replies within a time.

    Raises
    ------
    PluginError
        If it raises, takes longer, or replies with nothing or something that is no text.
    """
    outcome: dict[str, Any] = {}

    def call() -> None:
        try:
            outcome["reply"] = model([dict(message) for message in messages])
        except Exception as error:
            outcome["error"] = error

    # a thread of its own: a server that sends a byte now and then never times out by itself
    thread = threading.Thread(target=call, daemon=True, name="crossrank language model")
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise PluginError(
            f"the language model has not answered within {timeout:g} s; give it more time, or go "
            "on without it"
        )
    error = outcome.get("error")
    if isinstance(error, PluginError):
        raise error
    if error is not None:
        raise PluginError(f"the language model failed: {type(error).__name__}: {error}") from error
    reply = outcome["reply"]
    if not isinstance(reply, str):
        raise PluginError(
            f"the language model returned a {type(reply).__name__}; give a callable that returns a "
            "text"
        )
    if not reply.strip():
        raise PluginError("the language model answered nothing; try another one")
    return reply
