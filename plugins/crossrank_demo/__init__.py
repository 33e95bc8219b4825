"""The main job on real photographs: encode, search, rerank, explain, and show it on one page."""

from crossrank_demo.run import DemoResult, run_demo

__all__ = ["DemoResult", "run_demo"]
