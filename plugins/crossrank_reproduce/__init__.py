"""Published tables, run again: what to download, the run, and ours beside the published figure.

``crossrank reproduce TABLE --data DIR`` and `reproduce`.  The tables are data files in this
package; importing it imports neither torch nor transformers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_reproduce.needs import Found, look
    from crossrank_reproduce.planning import plan
    from crossrank_reproduce.result import Figure, Outcome
    from crossrank_reproduce.run import reproduce
    from crossrank_reproduce.tables import Need, Places, Row, Table, read_table, table_names

__getattr__ = lazy_names(__name__)

__all__ = [
    "Figure",
    "Found",
    "Need",
    "Outcome",
    "Places",
    "Row",
    "Table",
    "look",
    "plan",
    "read_table",
    "reproduce",
    "table_names",
]
