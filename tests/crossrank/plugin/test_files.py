"""Digests of files."""

import hashlib
import os
from pathlib import Path

import pytest

from crossrank.errors import StoreError
from crossrank.plugin.files import file_digest


def test_a_digest_follows_the_content_and_not_the_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"weights")
    other.write_bytes(b"weights")
    expected = hashlib.blake2b(b"weights", digest_size=16).hexdigest()
    assert file_digest("mine", one) == file_digest("mine", str(other)) == expected
    other.write_bytes(b"Weights")
    os.utime(other, (1, 1))
    assert file_digest("mine", other) != expected


def test_what_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^mine: .*none cannot be read: No such file.*; train it"):
        file_digest("mine", tmp_path / "none", "train it")
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        file_digest("mine", tmp_path)
