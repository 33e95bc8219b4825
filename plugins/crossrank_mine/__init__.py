"""Hard negatives of any run, in the columns that sentence-transformers trains on.

`mine` chooses them, `rows` puts them into columns, and ``crossrank mine`` does both to files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_mine.choosing import Choice, Mined, Negatives, Scored, mine
    from crossrank_mine.columns import FORMATS, rows

__getattr__ = lazy_names(__name__)

__all__ = ["FORMATS", "Choice", "Mined", "Negatives", "Scored", "mine", "rows"]
