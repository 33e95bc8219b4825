"""Digests of pictures, by which their features are found again."""

from __future__ import annotations

from pathlib import Path

import crossrank as cr
from crossrank.errors import StoreError
from crossrank.plugin.files import file_digest


def content_digest(path: Path) -> str:
    """Return a digest of a picture file's bytes."""
    try:
        return file_digest("blip2", path)
    except StoreError:
        cr.open_image(path)  # says what is wrong
        raise
