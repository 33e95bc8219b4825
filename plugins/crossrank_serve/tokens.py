"""Bearer tokens: who may ask."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from crossrank.errors import InputError
from crossrank_serve.problems import RequestError

VARIABLE = "CROSSRANK_TOKEN"


def read_tokens(file: Path | None) -> tuple[bytes, ...]:
    """Return the tokens of a file, one a line, or of ``CROSSRANK_TOKEN``; none for an open door.

    Raises
    ------
    InputError
        If the file cannot be read or holds none: an open door must not come from a mistake.
    """
    if file is None:
        text = os.environ.get(VARIABLE)
        if text is None:
            return ()
        where = f"the environment variable {VARIABLE}"
    else:
        where = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"serve: {file} cannot be read: {error}; check the path") from error
    lines = [line.strip() for line in text.splitlines()]
    tokens = tuple(line.encode() for line in lines if line and not line.startswith("#"))
    if not tokens:
        raise InputError(f"serve: {where} holds no token; write one, or leave it out")
    return tokens


def check_token(tokens: Sequence[bytes], headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse a request without one of the tokens; each is compared in constant time.

    Raises
    ------
    RequestError
        401 for a token that is missing, wrong, or there twice.
    """
    if not tokens:
        return
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise RequestError(401, "no token; send the header Authorization: Bearer TOKEN")
    if len(given) > 1:
        raise RequestError(401, "several Authorization headers; send one")
    scheme, _, token = given[0].strip().partition(b" ")
    # every token is compared, so that the time says nothing of which one was near
    right = [hmac.compare_digest(token.strip(), each) for each in tokens]
    if scheme.lower() != b"bearer" or not any(right):
        raise RequestError(
            401, "the token is not right; send the header Authorization: Bearer TOKEN"
        )
