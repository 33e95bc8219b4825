"""Optional packages and lazy names."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossrank.errors import MissingPackageError
from crossrank.plugin.optional import lazy_names, needs, required

INSTALL = r'mine needs the package \'{}\', which is not installed; pip install "crossrank\[some\]"'


def test_a_package_that_is_there_is_returned() -> None:
    assert required("json", "some", "mine") is sys.modules["json"]
    assert required("os.path", "some", "mine").join("a", "b") == str(Path("a", "b"))


@pytest.mark.parametrize("package", ["no_such_package", "no_such_package.inside"])
def test_a_missing_package_says_how_to_install_it(package: str) -> None:
    with pytest.raises(MissingPackageError, match=INSTALL.format("no_such_package")):
        required(package, "some", "mine")


def test_other_faults_stay_as_they_are() -> None:
    """A mistake in the code must not look like a missing package."""
    guard = needs("mine", "some", "torch")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"), guard():
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name"), guard():
        from json import nothing_like_that  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(MissingPackageError, match="other"), guard():
        required("no_such_package", "other", "another")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "lazy_toy"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from crossrank.plugin.optional import lazy_names, needs\n"
        "HOMES = {'Thing': 'things', 'Lost': 'lost'}\n"
        "__getattr__ = lazy_names(__name__, HOMES, needs('mine', 'some', 'no_such_package'))\n"
    )
    (folder / "things.py").write_text("class Thing: ...\n")
    (folder / "lost.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "lazy_toy"
    for name in [name for name in sys.modules if name.startswith("lazy_toy")]:
        del sys.modules[name]


def test_names_are_imported_when_they_are_asked_for(package: str) -> None:
    import lazy_toy  # type: ignore[import-not-found]

    assert f"{package}.things" not in sys.modules
    assert lazy_toy.Thing.__name__ == "Thing" and f"{package}.things" in sys.modules
    with pytest.raises(AttributeError, match="module 'lazy_toy' has no attribute 'Other'"):
        _ = lazy_toy.Other
    with pytest.raises(MissingPackageError, match=INSTALL.format("no_such_package")):
        _ = lazy_toy.Lost
    assert not hasattr(lazy_toy, "Nothing")


def test_names_are_those_that_the_source_imports_for_types(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from crossrank.plugin.optional import lazy_names\n"
        "if TYPE_CHECKING:\n"
        "    from collections.abc import Sequence\n"
        "    from lazy_toy.things import Thing\n"
        "__getattr__ = lazy_names(__name__)\n"
    )
    import lazy_toy

    assert f"{package}.things" not in sys.modules
    assert lazy_toy.Thing.__module__ == f"{package}.things" and "Thing" in vars(lazy_toy)
    assert not hasattr(lazy_toy, "Sequence")
    with pytest.raises(AttributeError, match="module 'lazy_toy' has no attribute 'Lost'"):
        _ = lazy_toy.Lost


def test_a_guard_is_not_needed() -> None:
    assert lazy_names("email", {"Message": "message"})("Message").__module__ == "email.message"
