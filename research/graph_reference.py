"""Write the statistics of lite's cells that the reranker ``graph`` ships.

::

    python research/graph_reference.py --pictures train/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import crossrank as cr
from crossrank.plugin.torch_weights import write_tensors
from crossrank_graph import CellStatistics
from crossrank_graph.reference import SHIPPED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="a collection with tokens")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    found = CellStatistics.of(cr.Collection.open(arguments.pictures))
    tables = {"mean": found.mean, "covariance": found.covariance}
    halves = {name: torch.from_numpy(table).half() for name, table in tables.items()}
    write_tensors(arguments.output, halves, {"encoder": found.maker})
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
