"""The command line, in this process and in others, with a toy distribution installed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from crossrank import Collection
from crossrank._files.trec import write_run
from crossrank.cli import main
from crossrank.plugin import registry

TOYS = Path(__file__).parent / "toy_distribution"

Cli = Callable[..., Result]
Child = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cli]:
    """Run the command line in this process, in an empty folder."""
    monkeypatch.syspath_prepend(TOYS)
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.chdir(tmp_path)

    def run(*args: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        assert result.exit_code == code, result.output
        if code == 2:
            assert result.stdout == ""
            assert result.stderr.count("\n") == 1, result.stderr
            assert result.stderr.startswith("crossrank")
        return result

    yield run
    for name in [name for name in sys.modules if name.startswith("toy_")]:
        del sys.modules[name]


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """Run the command line in a process of its own."""

    def run(*args: object, timeout: float = 60, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "crossrank", *map(str, args)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TOYS), "PYTHONIOENCODING": "utf-8", **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            preexec_fn=heed_interrupts,
        )

    return run


def heed_interrupts() -> None:
    """Undo what a shell does to what it runs in the background: it ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def collections(tmp_path: Path) -> tuple[Path, Path]:
    """Save four texts and six pictures' embeddings, and a run of depth four over them."""
    rng = np.random.default_rng(0)
    texts = [f"t{n}" for n in range(4)]
    images = [f"i{n}.jpg" for n in range(6)]
    Collection(
        texts,
        "text",
        embedding=rng.normal(size=(4, 8)).astype(np.float32),
        text=["a dog", "two dogs", "a cat | 樹", "ein Baum"],
    ).save(tmp_path / "queries")
    Collection(images, "image", embedding=rng.normal(size=(6, 8)).astype(np.float32)).save(
        tmp_path / "gallery"
    )
    run = {
        text: {images[(n + shift) % 6]: 1.0 - 0.1 * shift for shift in range(4)}
        for n, text in enumerate(texts)
    }
    write_run(tmp_path / "base.trec", run)
    return tmp_path / "queries", tmp_path / "gallery"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make a folder of three pictures, one of them deeper and with a blank in its name."""
    folder = tmp_path / "photos"
    (folder / "in side").mkdir(parents=True)
    for number, name in enumerate(["b.PNG", "a.jpg", "in side/c d.jpeg"]):
        Image.new("RGB", (8, 8), (40 * number, 9, 9)).save(folder / name)
    (folder / "notes.md").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder
