"""The page at ``/``: plain modules inside the package; nothing is loaded from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from crossrank_serve.problems import RequestError

KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a browser may load for it."""


@cache
def page_file(name: str) -> tuple[bytes, str]:
    """Return a file of the page and its kind."""
    folder = files("crossrank_serve").joinpath("page")
    own = {each.name for each in folder.iterdir()}
    kind = KINDS.get(name.rpartition(".")[2])
    if name not in own or kind is None:
        raise RequestError(404, "the page has no such file")
    return folder.joinpath(name).read_bytes(), kind
