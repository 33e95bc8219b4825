"""Without a network, in a process of its own: the hub's client reads its settings when imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CACHED = "crossrank-tests/tiny-clip"

SCRIPT = f"""
import json, sys
import crossrank as cr
import crossrank_clip
from crossrank.plugin.registry import load_encoder

Encoder = load_encoder("clip")
heavy = ("torch", "transformers", "huggingface_hub", "tokenizers")
told = {{"heavy": [name for name in heavy if name in sys.modules]}}

def attempt(**params):
    try:
        found = Encoder(**params).encode_batch([cr.Item("0", text="a dog")], "text", ("embedding",))
    except cr.errors.CrossrankError as error:
        return [type(error).__name__, str(error)]
    return found["embedding"].shape

told["absent"] = attempt(model="crossrank-tests/absent", revision="v1")
told["not allowed"] = attempt(model="crossrank-tests/absent", local_files_only=True)
told["cached"] = attempt(model={CACHED!r})
told["pinned"] = attempt(model={CACHED!r}, revision={COMMIT!r})
told["other commit"] = attempt(model={CACHED!r}, revision="f" * 40)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(
    checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Run the script with a cache of one model and a hub that answers nobody."""
    home = tmp_path_factory.mktemp("home")
    model = home / "hub" / f"models--{CACHED.replace('/', '--')}"
    shutil.copytree(checkpoint("clip"), model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    nowhere = {"HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9"}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**kept, **nowhere},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return {**json.loads(run.stdout), "stderr": run.stderr}


def test_loading_the_class_imports_nothing_heavy(told: dict[str, Any]) -> None:
    assert told["heavy"] == []


def test_a_hub_that_cannot_be_reached_is_one_error_with_a_way_out(told: dict[str, Any]) -> None:
    kind, message = told["absent"]
    assert kind == "PluginError"
    assert "'crossrank-tests/absent'" in message
    assert "the hub cannot be reached" in message
    assert "hf download crossrank-tests/absent --revision v1 --local-dir absent" in message
    assert "model='/path/to/absent'" in message
    assert "\n" not in message


def test_nothing_is_tried_again_and_again(told: dict[str, Any]) -> None:
    assert "Retry" not in told["stderr"]
    assert "Traceback" not in told["stderr"]


def test_local_files_only_does_not_ask(told: dict[str, Any]) -> None:
    kind, message = told["not allowed"]
    assert kind == "PluginError"
    assert "local_files_only is set" in message
    assert "hf download" in message


def test_a_cached_model_needs_no_network(told: dict[str, Any]) -> None:
    assert told["cached"] == told["pinned"] == [1, 12]


def test_another_commit_than_the_cached_one_is_not_taken_for_it(told: dict[str, Any]) -> None:
    kind, message = told["other commit"]
    assert kind == "PluginError"
    assert "f" * 40 in message
