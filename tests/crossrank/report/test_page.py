from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from crossrank.errors import MissingPackageError
from crossrank.report import page_template


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a package with a page of its own, as a third party would."""
    templates = tmp_path / "own_pages" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "__init__.py").write_text("")
    (templates / "own.html").write_text(
        '{% extends "frame.html" %}{% block title %}{{ title }}{% endblock %}'
        "{% block brand %}own{% endblock %}{% block body %}{{ number | signed }}{% endblock %}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_pages", raising=False)
    return "own_pages"


def test_a_page_of_another_package_stands_in_our_frame(own_package: str) -> None:
    page = page_template(own_package, "own.html", extra="own", purpose="it").render(
        title="<b>&", number=-0.25
    )
    assert "<title>&lt;b&gt;&amp; · crossrank own</title>" in page
    assert "<h1>&lt;b&gt;&amp;</h1>" in page
    assert "−0.25" in page
    assert "default-src 'none'" in page


def test_a_name_that_is_not_given_is_an_error(own_package: str) -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="title"):
        page_template(own_package, "own.html", extra="own", purpose="it").render(number=1)


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'jinja2.*pip install "crossrank\[own\]"'):
        page_template("crossrank.report", "frame.html", extra="own", purpose="it")
