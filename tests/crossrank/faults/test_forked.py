"""A child that is forked after its parent ranked or searched works, as under a forking server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

PROGRAM = """
import os, sys
import numpy as np
import crossrank as cr
import torch
torch.set_num_threads(2)

random = np.random.default_rng(0)
def side(count, kind):
    tokens = random.normal(size=(count, 40, 64)).astype("f4")
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    embedding = tokens[:, 0]
    ids = [f"{kind}{n}" for n in range(count)]
    return cr.Collection(ids, kind, embedding=embedding, tokens=cr.Ragged.from_list(list(tokens)))
queries, gallery = side(30, "text"), side(200, "image")

def ranked():
    lists = cr.search(queries, gallery, depth=60, engine=sys.argv[1])
    stage = cr.Stage("filip")
    rankings = cr.Pipeline(stage).rerank(lists, queries, gallery, threads=2)
    return [ranking.ids for ranking in rankings.values()]

big = torch.randn(600, 600)
big @ big
expected = ranked()
child = os.fork()
if child == 0:
    big @ big
    os._exit(0 if ranked() == expected else 3)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("engine", ["numpy", "faiss"])
def test_a_child_forked_after_work_does_the_same_work(engine: str) -> None:
    pytest.importorskip("torch")
    if engine == "faiss":
        pytest.importorskip("faiss")
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, engine]
    ended = subprocess.run(command, env=environment, timeout=120, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
