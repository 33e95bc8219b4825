"""Compositional benchmarks: captions and pictures that differ in who is what, and who does what.

``crossrank bench NAME`` and `crossrank.bench`, over pipelines or matrices of scores.  Importing
this package imports neither torch nor spaCy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_bench.benchmark import Benchmark, Case, read_benchmark
    from crossrank_bench.measures import average_precision
    from crossrank_bench.readers import NAMES
    from crossrank_bench.result import BenchResult, Row, result_of
    from crossrank_bench.run import bench

__getattr__ = lazy_names(__name__)

__all__ = [
    "NAMES",
    "BenchResult",
    "Benchmark",
    "Case",
    "Row",
    "average_precision",
    "bench",
    "read_benchmark",
    "result_of",
]
