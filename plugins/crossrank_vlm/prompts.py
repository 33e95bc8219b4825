"""From a query and a document to token ids: messages, the chat format, pictures in their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import ParameterError
from crossrank.plugin.contents import Content
from crossrank_vlm.families import Family
from crossrank_vlm.presets import Message, Part, Preset, ask_in_roles

QUERY, DOCUMENT = "\ue000query\ue001", "\ue002document\ue003"
"""Characters that nobody's text has, to see where a template puts what."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query with a document.

    Parameters
    ----------
    query, document
        What they say and show.
    instruction
        What is asked for.
    counts, pictures
        Of the query's and the document's pictures, how many tokens each takes, and its number.
    """

    query: Content
    document: Content
    instruction: str
    counts: tuple[Sequence[int], Sequence[int]] = ((), ())
    pictures: tuple[Sequence[int], Sequence[int]] = ((), ())


@dataclass(frozen=True, slots=True)
class Prompt:
    """One pair, as tokens.

    Parameters
    ----------
    ids
        ``[L]``, each picture as its run of image tokens.
    pictures
        The pictures in their order, as whoever made the prompt numbers them.
    first
        How many of them belong to what stands first.
    cut
        How many tokens were left out.
    """

    ids: NDArray[np.int64]
    pictures: tuple[int, ...]
    first: int
    cut: int = 0


class Prompter:
    """Writes prompts in the chat format of one checkpoint.

    Parameters
    ----------
    preset
        How it is asked.
    tokenizer
        The checkpoint's, with its chat template if it has one.
    family
        Of the checkpoint.

    Raises
    ------
    ParameterError
        If the template cannot be read, or leaves out the query or the document.
    """

    def __init__(self, preset: Preset, tokenizer: Any, family: Family) -> None:
        self._preset, self._tokenizer, self._family = preset, tokenizer, family
        said = self.text(Content(QUERY), Content(DOCUMENT), "instruction")
        places = said.find(QUERY), said.find(DOCUMENT)
        for name, place in zip(("query", "document"), places, strict=True):
            if place < 0:
                raise ParameterError(
                    f"vlm: the template leaves out the {name}: give one with "
                    f"{{{{ {name} }}}} in it, or messages with the role {name!r}"
                )
        self.query_first = places[0] < places[1]

    @property
    def instruction(self) -> str:
        """What is asked for where a query does not say so itself."""
        return self._preset.instruction

    def text(self, query: Content, document: Content, instruction: str) -> str:
        """Return the prompt as text, each picture as its placeholder."""
        return self._texts([(query, document, instruction)])[0]

    def _texts(self, pairs: Sequence[tuple[Content, Content, str]]) -> list[str]:
        preset = self._preset
        ask = preset.ask if preset.template is None and preset.ask is not None else ask_in_roles
        talks = [ask(self._parts(q), self._parts(d), instruction) for q, d, instruction in pairs]
        if preset.template is None:
            return self._chats(talks)
        return [
            self._chats(
                [talk],
                preset.template,
                query=self._said(query),
                document=self._said(document),
                instruction=instruction,
            )[0]
            for talk, (query, document, instruction) in zip(talks, pairs, strict=True)
        ]

    def prompts(self, pairs: Sequence[Pair]) -> list[Prompt]:
        """Return the tokens of some pairs.

        Raises
        ------
        ParameterError
            If the template drops a picture.
        """
        asked = [_asked(pair) for pair in pairs]
        unlike = dict(zip(asked, pairs, strict=True))
        tokens = dict(zip(unlike, self._tokens(list(unlike.values())), strict=True))
        return [self._prompt(pair, *tokens[each]) for pair, each in zip(pairs, asked, strict=True)]

    def _tokens(self, pairs: Sequence[Pair]) -> list[tuple[NDArray[np.int64], int]]:
        """Return ids of some pairs, pictures in their places, and how many were left out."""
        if not pairs:
            return []
        said = self._texts([(each.query, each.document, each.instruction) for each in pairs])
        found = []
        for pair, numbers in zip(pairs, self._numbers(said), strict=True):
            sizes = [size for side in self._order for size in pair.counts[side]]
            ids = self._with_pictures(np.array(numbers, np.int64), sizes)
            found.append(self._within(np.append(ids, np.array(self._preset.append, np.int64))))
        return found

    def _numbers(self, said: list[str]) -> list[list[int]]:
        """Return the tokens of some texts."""
        if self._quick is not None:
            return [each.ids for each in self._quick(said, add_special_tokens=False)]
        found: list[list[int]] = self._tokenizer(said, add_special_tokens=False)["input_ids"]
        return found

    @cached_property
    def _quick(self) -> Callable[..., list[Any]] | None:
        """What numbers tokens without finding their places in the text, where that is all."""
        encode = getattr(
            getattr(self._tokenizer, "backend_tokenizer", None), "encode_batch_fast", None
        )
        probes = [self.text(Content(QUERY), Content(said), "i") for said in ("a  b", " ä\n樹 ")]
        plain = self._tokenizer(probes, add_special_tokens=False)["input_ids"]
        if encode is None:
            return None
        same = [each.ids for each in encode(probes, add_special_tokens=False)] == plain
        return encode if same else None

    def _prompt(self, pair: Pair, ids: NDArray[np.int64], cut: int) -> Prompt:
        first, second = self._order
        shown = *pair.pictures[first], *pair.pictures[second]
        return Prompt(ids, shown, len(pair.pictures[first]), cut)

    @property
    def _order(self) -> tuple[int, int]:
        """Of a pair's two sides, which stands first."""
        return (0, 1) if self.query_first else (1, 0)

    def spoken(self, parts: Sequence[Part | Content], counts: Sequence[int]) -> NDArray[np.int64]:
        """Return the tokens of one message of the user, the answer's turn opened.

        Parameters
        ----------
        parts
            Words, and items in their places.
        counts
            How many tokens each picture takes.
        """
        content: list[Part] = []
        for part in parts:
            content += self._parts(part) if isinstance(part, Content) else [part]
        (said,) = self._chats([[{"role": "user", "content": content}]])
        ids = np.array(self._tokenizer(said, add_special_tokens=False)["input_ids"], np.int64)
        return self._with_pictures(ids, counts)

    def _with_pictures(self, ids: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int64]:
        """Repeat the image token of each picture."""
        places = ids == self._family.image_token
        if int(places.sum()) != len(sizes):
            raise ParameterError(
                f"vlm: the template shows {int(places.sum())} pictures where there are "
                f"{len(sizes)}; it must put {self._family.placeholder!r} for each, as "
                "{{ query }} and {{ document }} do"
            )
        repeats = np.ones(len(ids), np.int64)
        repeats[places] = sizes
        return np.repeat(ids, repeats)

    def _within(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Cut the last text tokens before the template's end, as Qwen3-VL-Reranker does."""
        over = len(ids) - self._preset.max_length
        if over <= 0:
            return ids, 0
        end = len(ids) - self._tail
        special = set(self._tokenizer.all_special_ids) | {self._family.image_token}
        free = [place for place in range(end) if int(ids[place]) not in special]
        kept = np.ones(len(ids), np.bool_)
        kept[free[max(0, len(free) - over) :]] = False
        return ids[kept], int((~kept).sum())

    @cached_property
    def _tail(self) -> int:
        """How many tokens stand behind the last of a pair's contents."""
        ids = [
            self._tokenizer(self.text(Content(a), Content(b), "i"), add_special_tokens=False)[
                "input_ids"
            ]
            for a, b in (("1 1", "2 2"), ("3 3", "4 4"))
        ]
        same = 0
        while same < min(map(len, ids)) and ids[0][-1 - same] == ids[1][-1 - same]:
            same += 1
        return same + len(self._preset.append)

    def _chats(
        self, talks: list[list[Message]], template: str | None = None, **variables: str
    ) -> list[str]:
        """Return several talks as texts, which the tokenizer writes together."""
        written = template or self._tokenizer.chat_template
        if isinstance(written, dict):  # several, by name
            asked = "reranker" if talks[0][-1]["role"] == "document" else "default"
            written = written.get(asked) or written.get("default")
        try:
            said: list[str] = self._tokenizer.apply_chat_template(
                talks,
                chat_template=written or self._family.template,
                tokenize=False,
                add_generation_prompt=self._preset.opens,
                **variables,
            )
        except Exception as error:  # of Jinja, or raised by the template itself
            raise ParameterError(
                f"vlm: the template cannot be filled in: {type(error).__name__}: {error}; correct "
                "it, or give template= of your own"
            ) from error
        return said

    def _parts(self, content: Content) -> list[Part]:
        image = [{"type": "image", "image": "picture"}] if content.path else []
        text = [{"type": "text", "text": self._clean(content.text)}] if content.text else []
        return [*image, *text]

    def _said(self, content: Content) -> str:
        text = "" if content.text is None else self._clean(content.text)
        return (self._family.placeholder if content.path else "") + text

    def _clean(self, text: str) -> str:
        """Take the image token out of a text, which would count as a picture."""
        return text.replace(self._image_text, " ")

    @cached_property
    def _image_text(self) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(self._family.image_token))


def _asked(pair: Pair) -> tuple[Any, ...]:
    """Return what decides a pair's tokens: all but which pictures they are."""
    said = [(each.text, each.path is None) for each in (pair.query, pair.document)]
    return *said, pair.instruction, *map(tuple, pair.counts)
