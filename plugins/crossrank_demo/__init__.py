"""The main job on real photographs: encode, search, rerank, explain, and show it on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_demo.run import DemoResult, run_demo

__getattr__ = lazy_names(__name__)

__all__ = ["DemoResult", "run_demo"]
