"""open_clip is imported where torchvision does not fit torch, and a missing package is named."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

import pytest

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    MissingPackageError,
)
from crossrank_openclip import importing as importing_module
from crossrank_openclip import open_clip


def test_the_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "open_clip"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingPackageError, match=r"'open-clip-torch'.*crossrank\[openclip\]"):
        open_clip()


def test_a_torchvision_that_does_not_fit_gets_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    module = ModuleType("open_clip")

    def stubborn(name: str) -> ModuleType:
        asked.append(name)
        if "torchvision._meta_registrations" not in sys.modules:
            raise RuntimeError("operator torchvision::nms does not exist")
        return module

    kept = {
        name: each
        for name, each in sys.modules.items()
        if name.partition(".")[0] in ("open_clip", "timm", "torchvision")
    }
    for name in kept:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importing_module, "import_module", stubborn)
    assert open_clip() is module
    assert asked == ["open_clip", "open_clip"]
    sys.modules.pop("torchvision._meta_registrations", None)


def test_a_torchvision_beyond_help(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> ModuleType:
        raise RuntimeError("operator torchvision::nms does not exist")

    kept = {
        name: each
        for name, each in sys.modules.items()
        if name.partition(".")[0] in ("open_clip", "timm", "torchvision")
    }
    for name in kept:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importing_module, "import_module", broken)
    with pytest.raises(MissingPackageError, match=r"needs a torchvision that fits torch.*pytorch"):
        open_clip()


def test_importing_the_plugin_loads_no_torch() -> None:
    import subprocess

    code = (
        "import sys, crossrank_openclip; "
        "assert not {'torch', 'open_clip', 'timm', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert issubclass(import_module("crossrank_openclip").OpenClipEncoder, cr.Encoder)
    assert issubclass(MissingPackageError, CrossrankError)
