"""The house stands: arrows between modules run one way, down, and none is hidden in a function."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from crossrank._own_names import syntax_tree

ROOT = Path(__file__).parents[2]
ROOTS = tuple(ROOT / name for name in ("rerankers", "plugins", "knowledge"))

KNOWLEDGE = {"crossrank_graphs", "crossrank_knowledge"}
"""What every plugin may build on."""

LATE = {
    "crossrank.evaluation": "a list of commands needs none of its 19 modules",
    "crossrank.plugin._names": "the contract brings numpy",
    "crossrank.report": "a list of commands draws no page",
    "crossrank._items.images": "Pillow",
    "crossrank.evaluation._irmeasures": "ir_measures brings pandas",
    "crossrank.report._figure": "matplotlib",
}
"""Modules that are imported in functions, since they bring something heavy, and what."""

LEVELS = (
    ("errors", "_own_names"),
    ("_checking", "_progress", "_text"),
    ("_files",),
    ("_items",),
    ("_lists",),
    ("plugin",),
    ("_stage",),
    ("_search", "_encode", "evaluation"),
    ("_engine", "report"),
    ("_features",),
    ("_pipeline",),
    ("_rerank",),
    ("__init__",),
    ("cli", "testing"),
    ("__main__",),
)
"""The rooms of the core from the ground up; a module imports from its own room or from below."""

DECLARED = {
    "crossrank_adamatch": {"crossrank_filip"},
    "crossrank_cora": {"crossrank_lite"},
    "crossrank_cprd": {"crossrank_filip", "crossrank_lite"},
    "crossrank_graphs": {"crossrank_knowledge"},
    "crossrank_lite": {"crossrank_filip"},
    "crossrank_lite_itm": {"crossrank_filip", "crossrank_lite"},
    "crossrank_openclip": {"crossrank_clip"},
    "crossrank_qperturb": {"crossrank_blip2"},
    "crossrank_reproduce": {"crossrank_clip", "crossrank_composed", "crossrank_qperturb"},
    "crossrank_serve": {"crossrank_demo"},
    "crossrank_vista": {"crossrank_clip", "crossrank_openclip"},
    "crossrank_vlm": {"crossrank_blip2", "crossrank_clip"},
}
"""Which package builds on which other; every other one stands alone."""


@cache
def sources() -> dict[str, tuple[Path, ast.Module]]:
    """Return every module of the three roots by its dotted name."""
    found = {}
    for root in ROOTS:
        for path in sorted(root.glob("crossrank*/**/*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path, syntax_tree(path.read_text(encoding="utf-8"))
    return found


def imports(name: str, modules: set[str]) -> set[str]:
    """Return the modules of the house that a module imports, wherever in it the statement stands.

    ``from package import name`` means the module that holds the name if there is one, else the
    package; importing a module imports the packages around it too, which does not count, since
    they would otherwise lie on a circle with each of their members.
    """
    path, tree = sources()[name]
    found = set()
    for node in statements(tree, f"{name}." if path.name == "__init__.py" else ""):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            base = node.module or ""
            if node.level:
                package = name if path.name == "__init__.py" else name.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {each if each in modules else base for each in inner}
    return (found & modules) - {name}


def statements(tree: ast.AST, own: str = "") -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield import statements at any depth, but not those for types alone.

    A package says under ``if TYPE_CHECKING`` too where names come from that are imported on first
    use: from modules that begin with `own`, which count.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield from statements(other)
            for each in node.body:
                if isinstance(each, ast.ImportFrom) and own and (each.module or "").startswith(own):
                    yield each
        else:
            yield from statements(node)


@cache
def graph() -> dict[str, set[str]]:
    """Return per module what it imports."""
    modules = set(sources())
    return {name: imports(name, modules) for name in modules}


def room(name: str) -> str:
    """Return in which room of the core a module lies."""
    _, _, rest = name.partition(".")
    return rest.partition(".")[0] or "__init__"


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as circle:
        pytest.fail(f"a circle of modules: {' → '.join(reversed(circle.args[1]))}")


def test_every_room_of_the_core_has_a_level() -> None:
    rooms = {room(name) for name in graph() if name.partition(".")[0] == "crossrank"}
    listed = {each for level in LEVELS for each in level}
    # the report kit and others may come and go; a room without a level is what must not be
    assert rooms <= listed


def test_arrows_between_the_rooms_of_the_core_run_down() -> None:
    level = {each: number for number, rooms in enumerate(LEVELS) for each in rooms}
    up = [
        f"{name} → {other}"
        for name, others in graph().items()
        for other in others
        if name.partition(".")[0] == other.partition(".")[0] == "crossrank"
        and room(name) != room(other)
        and level[room(name)] <= level[room(other)]
    ]
    assert not up


def test_arrows_between_packages_run_down() -> None:
    """Plugins and knowledge use the core and what they declare; the core uses nobody."""
    wrong = []
    for name, others in graph().items():
        package = name.partition(".")[0]
        allowed = {package, "crossrank"}
        if package == "crossrank":
            allowed = {"crossrank"}
        else:
            allowed |= DECLARED.get(package, set())
            allowed |= set() if package in KNOWLEDGE else KNOWLEDGE
        wrong += [f"{name} → {o}" for o in others if o.partition(".")[0] not in allowed]
    assert not wrong


def test_imports_in_functions_are_for_heavy_packages_only() -> None:
    """An import that hides in a function hides an arrow, unless what it brings is heavy."""
    hidden = []
    for name, (_, tree) in sources().items():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in statements(function):
                    base = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
                    if base.partition(".")[0] == "crossrank" and base not in LATE:
                        hidden.append(f"{name}:{node.lineno} imports {base}")
    assert not hidden
