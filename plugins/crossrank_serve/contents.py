"""What is to be encoded: texts and pictures by their content, and the items made of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from crossrank_serve.limits import Limits
from crossrank_serve.pictures import is_remote, picture_bytes
from crossrank_serve.problems import invalid, too_large
from crossrank_serve.records import Ask, Content, Part

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that is encoded by itself.

    Parameters
    ----------
    name
        Where it stands in the request, for errors.
    text
        The words, None without.
    picture
        The bytes of a picture's file, None without.
    key
        A digest of the content.
    """

    name: str
    text: str | None
    picture: bytes | None
    key: bytes

    @property
    def modality(self) -> str:
        """``"text"``, ``"image"`` or ``"image+text"``."""
        if self.picture is None:
            return "text"
        return "image" if self.text is None else "image+text"


@dataclass(frozen=True, slots=True)
class Job:
    """One query with its documents, ready to be encoded.

    Parameters
    ----------
    query
        One piece or several.
    documents
        One piece each.
    base_scores
        See `Ask`.
    explain
        Whether evidence is wanted, and of how many hits; 0 for none.
    until
        When the answer must be there, by `time.monotonic`.
    """

    query: tuple[Piece, ...]
    documents: tuple[Piece, ...]
    base_scores: tuple[float, ...] | None
    explain: int
    until: float = math.inf


def job_of(
    ask: Ask,
    limits: Limits,
    joint: bool,
    explain: int,
    fetch: Fetch,
    until: float = math.inf,
) -> Job:
    """Decode an ask's pictures and check every size.

    Parameters
    ----------
    ask
        What was sent.
    limits
        What may be sent.
    joint
        Whether the encoder knows a picture and a text at once.
    explain, until
        See `Job`.
    fetch
        Brings a picture from an address, or refuses.

    Raises
    ------
    RequestError
        413 and 422, and what `fetch` raises.
    """
    if len(ask.documents) > limits.documents:
        raise too_large(
            f"{len(ask.documents):,} documents are more than {limits.documents:,}; "
            "send fewer at once"
        )
    query = _pieces("query", ask.query, limits, fetch)
    if joint and len(query) == 2 and {piece.modality for piece in query} == {"text", "image"}:
        query = (_joined("query", query),)
    documents = []
    for place, content in enumerate(ask.documents):
        name = f"document {place}"
        pieces = _pieces(name, content, limits, fetch)
        documents.append(pieces[0] if len(pieces) == 1 else _document(name, pieces))
    return Job(query, tuple(documents), ask.base_scores, explain, until)


def _pieces(name: str, content: Content, limits: Limits, fetch: Fetch) -> tuple[Piece, ...]:
    words = [part for part in content if part.text is not None]
    pictures = [part for part in content if part.picture is not None]
    found = [_picture(name, part, limits, fetch) for part in pictures]
    if words:
        found.append(_text(name, "\n".join(str(part.text) for part in words), limits))
    return tuple(found)


def _text(name: str, text: str, limits: Limits) -> Piece:
    if len(text) > limits.text_characters:
        raise too_large(
            f"{name} has {len(text):,} characters, more than {limits.text_characters:,}; "
            "send a shorter one"
        )
    return Piece(name, text, None, _digest(b"text", text.encode()))


def _picture(name: str, part: Part, limits: Limits, fetch: Fetch) -> Piece:
    reference = str(part.picture)
    data = fetch(reference) if is_remote(reference) else picture_bytes(name, reference, limits)
    return Piece(name, None, data, _digest(b"image", data))


def _document(name: str, pieces: tuple[Piece, ...]) -> Piece:
    if len([piece for piece in pieces if piece.picture is not None]) > 1:
        raise invalid(f"{name} has several pictures; send each as a document of its own")
    return _joined(name, pieces)


def _joined(name: str, pieces: tuple[Piece, ...]) -> Piece:
    picture = next(piece.picture for piece in pieces if piece.picture is not None)
    text = next(piece.text for piece in pieces if piece.text is not None)
    return Piece(name, text, picture, _digest(b"both", *(piece.key for piece in pieces)))


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()
