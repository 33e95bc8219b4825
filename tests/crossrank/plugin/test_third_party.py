"""The example plugin, installed as anybody's: listed, run, and conformance-checked."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "third_party_plugin"

LIST = """
import json, sys
from crossrank.plugin.registry import names, records
known, imported = names("reranker"), "crossrank_overlap" in sys.modules
found = {each.name: [each.kind, each.distribution, each.summary, each.error] for each in records()}
print(json.dumps({"known": known, "imported": imported, "found": found}))
"""

RUN = """
import json
import crossrank as cr
queries = cr.Collection(["q1"], "text", text=["a red dog on the beach"])
gallery = cr.Collection(["p1", "p2"], "image", text=["boats at the beach", "my dog, a red setter"])
candidates = cr.Candidates.from_lists({"q1": ["p1", "p2"]})
pipeline = cr.Pipeline(cr.Stage("overlap", fusion=cr.Replace(), params={"image_words": "text"}))
print(json.dumps(pipeline.rerank(candidates, queries, gallery)["q1"].ids))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a copy of the example, so that nothing is built in the repository."""
    folder = tmp_path_factory.mktemp("third_party")
    source, target = folder / "source", folder / "site"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return target


def python(site: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=site,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_without_being_imported(site: Path) -> None:
    listed = json.loads(python(site, "-c", LIST))
    assert "overlap" in listed["known"] and not listed["imported"]
    kind, distribution, summary, error = listed["found"]["overlap"]
    assert (kind, distribution, error) == ("reranker", "crossrank-overlap 0.1.0", "")
    assert summary.startswith("words that query and candidate share")


def test_it_runs_by_its_name(site: Path) -> None:
    assert json.loads(python(site, "-c", RUN)) == ["p2", "p1"]
    code = RUN.strip().splitlines()
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert all(line in readme for line in code[2:-1])


def test_its_own_tests_pass(site: Path) -> None:
    tests = site.parent / "source" / "tests"
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(tests)]
    done = python(site, "-m", "pytest", *options, str(tests))
    assert " passed" in done and "check" not in done
