"""Addresses: only allowed hosts, only public ones, whatever a resolver or a redirect says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import httpx
import pytest

from crossrank.errors import InputError
from crossrank_serve import fetching
from crossrank_serve.fetching import Fetcher, check_hosts, is_public
from crossrank_serve.limits import Limits
from crossrank_serve.problems import RequestError
from toys.serving import picture, serving

PUBLIC = "93.184.216.34"
Handler = Callable[[httpx.Request], httpx.Response]


def fetcher(
    handler: Handler, addresses: Sequence[str] = (PUBLIC,), **limits: int
) -> tuple[Fetcher, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return handler(request)

    transport = httpx.MockTransport(handle)
    bounds = Limits(**limits)
    return Fetcher(["Pictures.example"], bounds, lambda host, port: addresses, transport), asked


def ok(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, content=iter([picture()]))


def test_the_address_that_was_looked_at_is_the_one_that_is_asked() -> None:
    fetch, asked = fetcher(ok)
    assert fetch("https://pictures.EXAMPLE./a.png?b=c#d") == picture()
    (request,) = asked
    assert request.url.host == PUBLIC and request.url.port in (443, None)
    assert request.headers["host"] == "pictures.example"
    assert request.extensions["sni_hostname"] == "pictures.example"
    assert request.url.raw_path == b"/a.png?b=c"
    six, asked = fetcher(ok, ["2606:2800:220:1:248:1893:25c8:1946"])
    assert six("https://pictures.example/") == picture()
    assert asked[0].url.host == "2606:2800:220:1:248:1893:25c8:1946"


@pytest.mark.parametrize(
    "address",
    [
        *("http://pictures.example/a.png", "https://other.example/a.png", "file:///etc/passwd"),
        *("https://pictures.example.evil/a", "https://evil.pictures.example/a", "ftp://a/b"),
        *("https://user:pass@pictures.example/a", "https://pictures.example:8443/a", "https://"),
        *("https://evil@pictures.example/", "https://pictures.example@evil/", "https://[::1]/"),
        *("https://127.0.0.1/", "https://pictures.example:99999/", "https://[bad/", "gopher://x"),
        *("https:pictures.example", "//pictures.example/a", "HTTP://pictures.example/", "a:b"),
    ],
)
def test_other_addresses_are_refused_without_asking_anybody(address: str) -> None:
    fetch, asked = fetcher(ok)
    with pytest.raises(RequestError, match="refused") as caught:
        fetch(address)
    assert caught.value.status == 403 and not asked


PRIVATE = (
    *("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "::1"),
    *("::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "100.64.0.1", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255"),
    *("::127.0.0.1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "fe80::1%lo", "nonsense", ""),
)


@pytest.mark.parametrize("private", PRIVATE)
def test_a_hostile_resolver_leads_nowhere(private: str) -> None:
    assert not is_public(private)
    for addresses in ([private], [PUBLIC, private]):
        fetch, asked = fetcher(ok, addresses)
        with pytest.raises(RequestError) as caught:
            fetch("https://pictures.example/a.png")
        assert caught.value.status == 403 and not asked


def test_a_resolver_that_changes_its_mind_is_asked_again_for_each_request() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": "/again"})

    fetch = Fetcher(
        ["pictures.example"], Limits(), lambda h, p: next(answers), httpx.MockTransport(handle)
    )
    with pytest.raises(RequestError) as caught:
        fetch("https://pictures.example/")
    assert caught.value.status == 403 and asked == [PUBLIC]


@pytest.mark.parametrize(
    ("location", "status"),
    [
        *(("https://other.example/", 403), ("http://pictures.example/", 403), ("", 424)),
        *(("https://127.0.0.1/", 403), ("file:///etc/passwd", 403), ("/elsewhere", 424)),
        *(("//169.254.169.254/latest", 403), ("https://pictures.example:22/", 403)),
    ],
)
def test_redirects_lead_to_no_other_host(location: str, status: int) -> None:
    fetch, asked = fetcher(lambda request: httpx.Response(302, headers={"location": location}))
    with pytest.raises(RequestError) as caught:
        fetch("https://pictures.example/")
    assert caught.value.status == status
    assert all(request.url.host == PUBLIC for request in asked) and len(asked) <= 4


def test_a_redirect_on_the_same_host_is_followed() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a":
            return httpx.Response(301, headers={"location": "/b"})
        return ok(request)

    fetch, asked = fetcher(handle)
    assert fetch("https://pictures.example/a") == picture() and len(asked) == 2


def test_files_that_are_too_large_compressed_or_do_not_come() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("/secret/path")

    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=(b"x" * 1000 for _ in range(10**9)))

    packed = {"content-encoding": "gzip"}
    for handler, status in (
        (broken, 424),
        (endless, 413),
        (lambda request: httpx.Response(404), 424),
        (lambda request: httpx.Response(200, headers=packed, content=iter([b"x"])), 424),
    ):
        fetch, _ = fetcher(handler, picture_bytes=5000)
        with pytest.raises(RequestError) as caught:
            fetch("https://pictures.example/")
        assert caught.value.status == status and "secret" not in str(caught.value)

    def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    with pytest.raises(RequestError) as caught:
        Fetcher(["a.b"], Limits(), nowhere)("https://a.b/")
    assert caught.value.status == 424


def test_a_host_that_takes_its_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 0.3)

    def drops() -> Iterator[bytes]:
        for _ in range(1000):
            time.sleep(0.05)
            yield b"x"

    def leads_on(request: httpx.Request) -> httpx.Response:
        time.sleep(0.2)
        return httpx.Response(302, headers={"location": "/again"})

    for handler in (lambda request: httpx.Response(200, content=drops()), leads_on):
        fetch, asked = fetcher(handler)
        began = time.monotonic()
        with pytest.raises(RequestError, match=r"within 0\.3 seconds") as caught:
            fetch("https://pictures.example/")
        assert caught.value.status == 424 and time.monotonic() - began < 5 and len(asked) < 4
        left = [request.extensions["timeout"]["read"] for request in asked]
        assert left == sorted(left, reverse=True) and max(left) <= 0.3


def test_a_server_fetches_what_it_may() -> None:
    fetch, asked = fetcher(ok)
    documents = [
        {"image": "https://pictures.example/a.png"},
        {"image": "https://pictures.example/b"},
    ]
    with serving(fetch=fetch) as client:
        answer = client.post("/v1/rerank", json={"query": "red", "documents": documents})
        assert answer.status_code == 200 and len(asked) == 2
        refused = {"query": "red", "documents": [{"image": "https://127.0.0.1/a.png"}]}
        assert client.post("/v1/rerank", json=refused).status_code == 403


@pytest.mark.parametrize("host", ["", "https://a.b", "a/b", "a:443", "*", "*.a.b", "a b", "."])
def test_hosts_are_names(host: str) -> None:
    with pytest.raises(InputError, match="allow-url"):
        check_hosts([host])
    check_hosts(["example.org"])
