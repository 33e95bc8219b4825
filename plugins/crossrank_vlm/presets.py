"""How released models are asked, as their authors' own code asks them.

A preset says what the messages are and how the answer becomes a score.  The chat format around the
messages is the checkpoint's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Part: TypeAlias = dict[str, str]
Message: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[[list[Part], list[Part], str], list[Message]]
"""From the parts of query and document and the instruction to messages."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How one family of rerankers is asked.

    Parameters
    ----------
    ask
        Makes the messages; None for a plain `template` without chat.
    template
        Jinja text in place of messages: ``{{ query }}``, ``{{ document }}``, ``{{ instruction }}``.
    head
        ``"tokens"``, ``"linear"`` or ``"mlp"``.
    true, false
        The answers whose logits are compared, for ``"tokens"``.
    bias
        Taken from the score before the sigmoid.
    sigmoid
        Whether the score is a probability.
    instruction
        What is asked for where nobody says so.
    append
        Token ids behind every prompt, where the head reads.
    opens
        Whether the chat format opens the answer's turn.
    max_length
        The most tokens of a prompt.
    image_tokens
        The fewest and the most of a picture, None for the checkpoint's own limits.
    """

    ask: Ask | None = None
    template: str | None = None
    head: str = "tokens"
    true: tuple[str, ...] = ("yes",)
    false: tuple[str, ...] = ("no",)
    bias: float = 0.0
    sigmoid: bool = True
    instruction: str = ""
    append: tuple[int, ...] = ()
    opens: bool = True
    max_length: int = 10240
    image_tokens: tuple[int, int] | None = None


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
ASSERT = (
    "Assert the relevance of the previous image document to the following query, answer True or "
    "False. The query is: "
)


def ask_qwen3_vl(query: list[Part], document: list[Part], instruction: str) -> list[Message]:
    """Return the messages of Qwen3-VL-Reranker: query first, pictures before texts."""
    asked = [_text(f"<Instruct>: {instruction}"), _text("<Query>:"), *query]
    content = [*asked, _text("\n<Document>:"), *document]
    return [
        {"role": "system", "content": [_text(SYSTEM)]},
        {"role": "user", "content": content},
    ]


def ask_mono_qwen2(query: list[Part], document: list[Part], instruction: str) -> list[Message]:
    """Return the messages of MonoQwen2-VL: the picture, then the assertion with the query."""
    return [{"role": "user", "content": [*document, *_behind(ASSERT, query)]}]


def ask_in_roles(query: list[Part], document: list[Part], instruction: str) -> list[Message]:
    """Return the messages of sentence-transformers: the roles ``query`` and ``document``."""
    system = [{"role": "system", "content": instruction}] if instruction else []
    return [
        *system,
        {"role": "query", "content": query},
        {"role": "document", "content": document},
    ]


def _behind(start: str, parts: list[Part]) -> list[Part]:
    """Put words before parts; a text follows in the same part."""
    if parts and parts[0]["type"] == "text":
        return [_text(start + parts[0]["text"]), *parts[1:]]
    return [_text(start), *parts]


PRESETS: Mapping[str, Preset] = {
    "qwen3-vl": Preset(
        ask=ask_qwen3_vl,
        instruction="Given a search query, retrieve relevant candidates that answer the query.",
        image_tokens=(4, 1800),
    ),
    "lighton": Preset(
        ask=ask_qwen3_vl,
        true=("Yes",),
        false=("No",),
        sigmoid=False,
        instruction="Given a search query, retrieve relevant candidates that answer the query.",
    ),
    "mono-qwen2": Preset(ask=ask_mono_qwen2, true=("True",), false=("False",)),
    "jina-m0": Preset(
        template="**Document**:\n{{ document }}\n**Query**:\n{{ query }}",
        head="mlp",
        bias=2.65,
        append=(100,),
    ),
    "sentence-transformers": Preset(ask=ask_in_roles, opens=False),
}
"""By name.  ``lighton``'s wording is that of qwen3-vl: its own was not to be had here."""
