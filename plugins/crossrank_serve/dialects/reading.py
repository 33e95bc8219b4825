"""Requests of every dialect, read as one record: functions of a JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossrank_serve.dialects.content import read_content, read_contents
from crossrank_serve.fields import (
    array,
    count,
    flag,
    kind,
    number,
    numbers,
    optional_number,
    optional_text,
)
from crossrank_serve.problems import invalid
from crossrank_serve.records import Ask, Content, Part, Request, Spans

Body = Mapping[str, Any]


def read_rerank(body: Body) -> Request:
    """Read Jina's, Cohere's, Voyage's, vLLM's and SGLang's request: a query and its documents.

    ``top_n`` or ``top_k`` says how many to return, and ``return_documents`` whether with content.
    """
    return _read(body, "documents", "return_documents")


def read_tei(body: Body) -> Request:
    """Read the request of TEI: a query and its ``texts``, with ``return_text``."""
    flag(body, "raw_scores")
    return _read(body, "texts", "return_text")


def read_score(body: Body) -> Request:
    """Read the request of vLLM's score: one text or several with as many others.

    The two sides stand in ``text_1`` and ``text_2``, ``data_1`` and ``data_2``, or ``queries`` and
    ``documents`` (or ``items``).

    Raises
    ------
    RequestError
        422 where the lengths are neither 1 and n nor n and n.
    """
    names = max(SCORE_NAMES, key=lambda names: sum(body.get(name) is not None for name in names))
    for name in names:
        if body.get(name) is None:
            raise invalid(f"{name} is missing; send {names[0]} and {names[1]}")
    left, right = (read_contents(name, body[name]) for name in names)
    if len(left) not in (1, len(right)):
        raise invalid(
            f"{names[0]} has {len(left)} entries and {names[1]} {len(right)}; send one and any "
            "number, or as many on both sides"
        )
    cut = count(body, "max_tokens_per_doc")
    right = tuple(_cut(each, cut) for each in right)
    pairs = zip(left, right, strict=False)
    asks = (
        (Ask(left[0], right),)
        if len(left) == 1
        else tuple(Ask(query, (document,)) for query, document in pairs)
    )
    return Request(
        asks=asks,
        model=optional_text(body, "model"),
        trace=flag(body, "trace"),
        explain=flag(body, "explain"),
        deadline=_deadline(body),
        warnings=_warnings(body),
    )


SCORE_NAMES = (
    ("text_1", "text_2"),
    ("data_1", "data_2"),
    ("queries", "documents"),
    ("queries", "items"),
)


def _read(body: Body, documents: str, wanted: str) -> Request:
    if body.get("query") is None:
        raise invalid("query is missing; send a string, or an object with text or image")
    query = read_content("query", body["query"])
    sent = body.get(documents)
    fields = _rank_fields(body)
    cut = count(body, "max_tokens_per_doc")
    contents: tuple[Content, ...]
    if isinstance(sent, dict):
        contents = read_contents(documents, sent)
    else:
        contents = tuple(
            read_content(f"{documents}[{place}]", value, fields)
            for place, value in enumerate(array(documents, sent))
        )
    scores = numbers(body, "base_scores", len(contents))
    both = [count(body, name) for name in ("top_n", "top_k")]
    return Request(
        asks=(Ask(query, tuple(_cut(each, cut) for each in contents), scores),),
        model=optional_text(body, "model"),
        top=next((each for each in both if each is not None), None),
        documents=_returned(sent, contents) if flag(body, wanted) else None,
        trace=flag(body, "trace"),
        explain=flag(body, "explain"),
        spans=_spans(body),
        deadline=_deadline(body),
        warnings=_warnings(body),
    )


def _rank_fields(body: Body) -> tuple[str, ...]:
    value = body.get("rank_fields")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid("rank_fields is no array of strings; send names of fields")
    return tuple(value)


def _returned(sent: Any, contents: tuple[Content, ...]) -> list[dict[str, Any]]:
    """Return each document as an object: its own, or one of its text or picture."""
    found = []
    for place, content in enumerate(contents):
        own = sent[place] if isinstance(sent, list) else None
        found.append(dict(own) if isinstance(own, dict) else _as_object(content))
        words = [part.text for part in content if part.text is not None]
        # clients of texts want the field, of pictures too
        found[-1].setdefault("text", "\n".join(words))
    return found


def _as_object(content: Content) -> dict[str, Any]:
    pictures = [part.picture for part in content if part.picture is not None]
    return {"image": pictures[0]} if pictures else {}


def _cut(content: Content, tokens: int | None) -> Content:
    """Cut texts after so many words: every token of a model lies within one of them."""
    if tokens is None:
        return content
    return tuple(_cut_part(part, tokens) for part in content)


def _cut_part(part: Part, words: int) -> Part:
    if part.text is None:
        return part
    head = part.text.split(None, words)
    if len(head) <= words:
        return part
    return Part(part.text[: len(part.text) - len(head[-1])].rstrip())


def _spans(body: Body) -> Spans | None:
    value = body.get("relevant_spans")
    if value is None or isinstance(value, bool):
        return Spans() if value else None
    if not isinstance(value, dict):
        raise invalid(f"relevant_spans is a {kind(value)}; send an object with a mode")
    mode = value.get("mode", "enabled")
    if mode not in ("enabled", "disabled"):
        raise invalid("relevant_spans.mode is neither 'enabled' nor 'disabled'; send one of them")
    if mode == "disabled":
        return None
    named = {f"relevant_spans.{name}": each for name, each in value.items()}
    return Spans(
        optional_number(named, "relevant_spans.threshold"), count(named, "relevant_spans.max_spans")
    )


def _deadline(body: Body) -> float | None:
    value = body.get("timeout")
    if value is None:
        return None
    seconds = number("timeout", value)
    if seconds <= 0:
        raise invalid("timeout is not positive; send the seconds you are ready to wait")
    return seconds


def _warnings(body: Body) -> tuple[str, ...]:
    said = [name for name in ("instruction", "instruct") if optional_text(body, name)]
    return tuple(f"{name} has no effect: no stage of this server takes one" for name in said)
