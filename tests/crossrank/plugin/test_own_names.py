"""Names that come on first use, asked for by several threads at once."""

from __future__ import annotations

import ast
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crossrank._own_names import syntax_tree

SOURCE = (Path(__file__).parents[3] / "rerankers/crossrank/_pipeline.py").read_text(
    encoding="utf-8"
)


def test_several_threads_parse_beside_others() -> None:
    expected, between = ast.dump(ast.parse(SOURCE)), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: ast.dump(syntax_tree(SOURCE)), range(12)))
    finally:
        sys.setswitchinterval(between)
    assert set(found) == {expected}
