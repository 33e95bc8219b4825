"""What a look at the plugins imports: names of ours, and no package that the program does not use.

Each plugin is loaded, as ``crossrank plugins`` does it, in a process that has seen nothing else.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

LOOK = """
import json, sys
import crossrank.cli
from crossrank.plugin import registry
from crossrank.plugin.registry import GROUPS

def packages():
    roots = {name.partition(".")[0] for name in sys.modules}
    return {root for root in roots - sys.stdlib_module_names if not root.startswith("_")}

ours = {"numpy", "PIL", "pluggy", "click", "safetensors"}

def shared(root):
    return root.startswith("crossrank") or root in ours

found, before = {}, packages()
for kind in GROUPS:
    for name in registry.names(kind):
        error = registry._record(kind, name).error
        new = sorted(root for root in packages() - before if not shared(root))
        before = packages()
        if new or error:
            found[f"{kind} {name}"] = new or error
print(json.dumps(found))
"""


def test_a_look_at_the_plugins_imports_no_heavy_package() -> None:
    """torch, scipy, spaCy, httpx, starlette and their like come with the first use."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {}


def test_a_look_at_the_plugins_imports_nothing_that_only_their_work_needs() -> None:
    """Clients, tables, pictures: together they took a seventh of the time."""
    spared = ["http.client", "urllib.request", "crossrank_graphs.rules", "PIL", "tomllib", "html"]
    code = f"{LOOK}\nprint([name for name in {spared} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_import_crossrank_imports_nothing_but_its_names() -> None:
    spared = ["numpy", "click", "tempfile"]
    code = f"import crossrank, sys; print([name for name in {spared} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_program_ends_without_a_last_look_for_cycles() -> None:
    """It took 22 of the 330 ms of ``crossrank plugins``."""
    code = (
        "import atexit, gc\n"
        "from crossrank.cli import main\n"
        "atexit.register(lambda: print(gc.get_freeze_count()))\n"
        "main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # callbacks run from the last to the first: ours before this one
    assert int(done.stdout.splitlines()[-1]) > 1000


def test_no_lazy_name_is_that_of_a_module() -> None:
    """Whoever imported the module would put it in the name's place."""
    wrong = []
    for path in ROOT.glob("*/crossrank*/__init__.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        blocks = (node for node in tree.body if isinstance(node, ast.If))
        names = {
            alias.name
            for block in blocks
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        wrong += [f"{path.parent.name}.{name}" for name in names if _is_module(path, name)]
    assert not wrong


def _is_module(package: Path, name: str) -> bool:
    return (package.parent / f"{name}.py").exists() or (package.parent / name).is_dir()
