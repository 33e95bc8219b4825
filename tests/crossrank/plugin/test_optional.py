"""torch while another thread imports it, torch that is broken, and who may look at all."""

import importlib
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import MissingPackageError
from crossrank.plugin import optional
from crossrank.plugin.optional import loaded, required
from toys.basic import unit

ROOT = Path(__file__).parents[3]
SOURCES = ("rerankers", "plugins", "knowledge", "examples", "research", "benchmarks")

IMAGES, PATCHES, SIZE, TEXTS, DEPTH = 2000, 49, 256, 100, 20

# Small portions, so that threads begin some of them while the first one imports torch.
COMMAND = """
import sys
import crossrank._engine.partition
from crossrank.cli import main
crossrank._engine.partition.PORTION_BYTES = 4_000_000
assert "torch" not in sys.modules
main()
"""

# What torch does whose libraries are gone: it fails half-way, and otherwise the second time.
BROKEN_TORCH = """
import sys, time
time.sleep(0.5)
if hasattr(sys, "torch_was_tried"):
    raise RuntimeError("function '_has_torch_function' already has a docstring")
sys.torch_was_tried = True
raise OSError("libc10.so: cannot open shared object file")
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write float16 tokens, 50 MB of them, and lists."""
    rng = np.random.default_rng(0)

    def tokens(items: int, each: int) -> cr.Ragged:
        flat = unit(rng.normal(size=(items * each, SIZE))).astype(np.float16)
        return cr.Ragged(flat, [each] * items)

    folder = tmp_path_factory.mktemp("cold")
    images, texts = [f"i{n}" for n in range(IMAGES)], [f"t{n}" for n in range(TEXTS)]
    cr.Collection(images, "image", tokens=tokens(IMAGES, PATCHES)).save(folder / "gallery")
    cr.Collection(texts, "text", tokens=tokens(TEXTS, 12)).save(folder / "queries")
    lines = [
        f"{text} Q0 {images[row]} {rank} {DEPTH - rank} base\n"
        for text in texts
        for rank, row in enumerate(rng.choice(IMAGES, DEPTH, replace=False), 1)
    ]
    (folder / "base.trec").write_text("".join(lines))
    return folder


def rerank(stores: Path, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a fresh process, with four threads that score."""
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.run(
        [
            *(sys.executable, "-c", COMMAND, "rerank", "--run", "base.trec"),
            *("--queries", "queries", "--gallery", "gallery", "--stage", "filip"),
            *("--workers", "4", "-o", str(output)),
        ],
        cwd=stores,
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("environment", [{}, {"OMP_NUM_THREADS": "1"}], ids=["default", "serial"])
@pytest.mark.parametrize("start", range(20))
def test_a_cold_start_with_four_workers(
    start: int, environment: dict[str, str], stores: Path, tmp_path: Path
) -> None:
    """Whichever thread imports torch, the others do not stumble over it."""
    done = rerank(stores, tmp_path / "out.trec", **environment)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out.trec").read_text().splitlines()) == TEXTS * DEPTH


def test_a_torch_that_is_broken_is_one_clear_error(stores: Path, tmp_path: Path) -> None:
    """Each thread tries to import it; what is told is how it failed first."""
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text(BROKEN_TORCH)
    done = rerank(stores, tmp_path / "out.trec", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "crossrank: filip, over float16 tokens, needs the package 'torch', which is installed but "
        "cannot be imported (OSError: libc10.so: cannot open shared object file); install it "
        'again: pip install --force-reinstall "crossrank[filip]"'
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.trec").exists()


def test_a_module_half_imported_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, gate = "crossrank_test_half_made", "crossrank_test_gate"
    events = SimpleNamespace(begun=threading.Event(), go_on=threading.Event())
    monkeypatch.setitem(sys.modules, gate, events)
    monkeypatch.syspath_prepend(tmp_path)
    code = f"import {gate}\nwhole = False\n{gate}.begun.set()\n{gate}.go_on.wait()\nwhole = True\n"
    (tmp_path / f"{name}.py").write_text(code)
    assert loaded(name) is None

    thread = threading.Thread(target=importlib.import_module, args=(name,))
    thread.start()
    try:
        assert events.begun.wait(60)
        assert sys.modules[name].whole is False  # this is what others stumble over
        assert loaded(name) is None
    finally:
        events.go_on.set()
        thread.join()
    module = loaded(name)
    assert module is not None and module.whole
    assert required(name, "some", "a test") is module


def test_a_package_that_is_missing_or_lacks_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingPackageError, match=r"a test needs .*not installed.*\[some\]"):
        required("crossrank_test_nowhere", "some", "a test")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "crossrank_test_lacking.py").write_text("import crossrank_test_nowhere\n")
    with pytest.raises(
        MissingPackageError, match=r"installed but cannot .*'crossrank_test_nowhere"
    ):
        required("crossrank_test_lacking", "some", "a test")


def test_nobody_else_looks_at_modules() -> None:
    """A module that another thread is importing is there, and lacks most of its names."""
    looking = {
        str(file.relative_to(ROOT))
        for folder in SOURCES
        for file in (ROOT / folder).rglob("*.py")
        if re.search(r"sys\.modules|from sys import|import sys as", file.read_text())
    }
    # the second one takes back an import that failed, under a lock, and looks at nothing
    taking_back = "plugins/crossrank_openclip/importing.py"
    # the third one counts them, to see that there are new ones
    counting = "rerankers/crossrank/plugin/_threads.py"
    # the fourth one names them, in a child that tells its parent what to import before it forks
    naming = "research/kill.py"
    assert looking == {"rerankers/crossrank/plugin/optional.py", taking_back, counting, naming}


TELLING = """
import sys
from PIL import Image
import crossrank as cr
cr.encode("lite", [Image.new("RGB", (64, 64), "red")])
assert "onnxruntime" in sys.modules
"""


def test_nobody_is_told_who_uses_it(tmp_path: Path) -> None:
    """onnxruntime keeps an id in the user's cache folder, and a thread that sends it."""
    pytest.importorskip("onnxruntime")
    home = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    environment = {**os.environ, **home, "CROSSRANK_CACHE": str(tmp_path / "ours")}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", TELLING], env=environment, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_a_wish_to_tell_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_USAGE_STATS_ENABLED", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    for name in ("onnxruntime", "ray.data"):
        monkeypatch.setitem(optional._BROKEN, name, OSError("not now"))
        monkeypatch.setattr(optional, "loaded", lambda name: None)
        with pytest.raises(MissingPackageError):
            required(name, "extra", "this test")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
