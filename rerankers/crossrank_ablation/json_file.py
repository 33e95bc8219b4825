"""JSON files of a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossrank._files.atomic import atomic_file
from crossrank.cli._printing import plain


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document that appears when it is complete; what is not finite as null."""
    with atomic_file(path) as file:
        json.dump(plain(value), file, ensure_ascii=False, allow_nan=False)
        file.write("\n")
