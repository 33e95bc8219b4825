"""What an encoder may not do to the world around it."""

from __future__ import annotations

import contextlib
import io

from crossrank.testing._check import require
from crossrank.testing._encoder_case import EncoderCase
from crossrank.testing._snapshots import unchanged


def items_are_never_mutated(case: EncoderCase) -> None:
    """Expect open pictures back byte for byte, and the list of items as it was."""
    items = case.items()
    before = list(items)
    with unchanged("encode_batch()", items=items):
        case.batch(items)
    require(items == before, "encode_batch() changed the list of items; copy it first")


def nothing_is_printed(case: EncoderCase) -> None:
    """Expect silence: standard output is the caller's, and news go to `logging`."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        case.batch()
    require(not printed.getvalue(), f"it printed {printed.getvalue()[:60]!r}; use logging")
