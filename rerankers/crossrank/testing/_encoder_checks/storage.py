"""What an encoder makes can be written to a folder and read again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crossrank._encode.call import encode
from crossrank.testing._differences import require_same_features
from crossrank.testing._encoder_case import EncoderCase


def features_can_be_stored(case: EncoderCase) -> None:
    """Expect arrays, and values that JSON can hold, so that a folder can keep them."""
    items = case.items()
    expected = case.entries(items)
    with tempfile.TemporaryDirectory() as folder:
        stored = encode(
            case.built(),
            items,
            case.modality,
            case.features,
            Path(folder, "out"),
            batch_size=len(items),
        )
        require_same_features(
            expected,
            {
                id: {name: stored[name][row] for name in case.features}
                for row, id in enumerate(stored.ids)
            },
            "after it was written to disk",
            "return arrays of numbers, or lists, str and numbers for JSON",
        )
