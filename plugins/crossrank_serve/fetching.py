"""Pictures from addresses, where the server's owner allows it, and from nowhere else.

What a client names could be a machine that only this server can reach.  So the scheme is https, the
host one of a list; the name is resolved here, every address it has must be public, and the one that
was looked at is the one that is connected to: a second answer of the resolver changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urljoin, urlsplit

import httpx

from crossrank.errors import InputError
from crossrank_serve.limits import Limits
from crossrank_serve.problems import RequestError, too_large

SECONDS = 10.0
"""For a picture, redirects included."""

REDIRECTS = 3

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class Fetcher:
    """Brings pictures from some hosts.

    Parameters
    ----------
    hosts
        Names as they stand in addresses.
    limits
        Of a picture's bytes.
    resolve
        Returns the addresses of a host and port.
    transport
        Sends requests; for tests.
    """

    def __init__(
        self,
        hosts: Collection[str],
        limits: Limits,
        resolve: Resolve = resolve,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._hosts = frozenset(_host(each) for each in hosts)
        self._limits = limits
        self._resolve = resolve
        self._transport = transport

    def __call__(self, reference: str) -> bytes:
        """Return the file at an address.

        Raises
        ------
        RequestError
            403 for an address that is not allowed, 413 for a large file, 424 where it does not
            come.
        """
        deadline = time.monotonic() + SECONDS
        url = reference.strip()
        first = self._checked(url)
        try:
            with httpx.Client(
                transport=self._transport, trust_env=False, follow_redirects=False, timeout=SECONDS
            ) as client:
                for _ in range(REDIRECTS + 1):
                    host, port = self._checked(url)
                    if host != first[0]:
                        raise _forbidden("it leads to another host")
                    if time.monotonic() > deadline:
                        raise _late()
                    found = self._get(client, url, host, port, deadline)
                    if isinstance(found, bytes):
                        return found
                    url = urljoin(url, found)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            raise _failed("it does not answer") from None
        raise _failed("it leads on too often")

    def _checked(self, url: str) -> tuple[str, int]:
        """Return host and port of an address that is allowed."""
        try:
            parts = urlsplit(url)
            host, port = _host(parts.hostname or ""), parts.port or 443
        except ValueError:
            raise _forbidden("it is no address") from None
        if parts.scheme.lower() != "https":
            raise _forbidden("only https is fetched")
        if parts.username is not None or parts.password is not None:
            raise _forbidden("it holds a user's name")
        if host not in self._hosts:
            raise _forbidden("its host is not one that this server fetches from")
        if port != 443:
            raise _forbidden("only port 443 is fetched from")
        return host, port

    def _get(
        self, client: httpx.Client, url: str, host: str, port: int, deadline: float
    ) -> bytes | str:
        """Return the file, or where it is said to be."""
        address = self._address(host, port)
        parts = urlsplit(url)
        netloc = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        pinned = parts._replace(netloc=netloc, fragment="").geturl()
        request = client.build_request(
            "GET",
            pinned,
            headers={"host": host, "accept": "image/*", "accept-encoding": "identity"},
            extensions={"sni_hostname": host},
            timeout=max(0.001, deadline - time.monotonic()),
        )
        response = client.send(request, stream=True)
        try:
            if response.is_redirect:
                return str(response.headers.get("location", ""))
            if response.status_code != 200:
                raise _failed(f"it answers {response.status_code}")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise _failed("it answers compressed")
            return self._read(response, deadline)
        finally:
            response.close()

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        data = bytearray()
        for part in response.iter_raw():
            data += part
            if len(data) > self._limits.picture_bytes:
                raise too_large(
                    f"the picture has more than {self._limits.picture_bytes:,} bytes; "
                    "send a smaller one"
                )
            if time.monotonic() > deadline:
                raise _late()
        return bytes(data)

    def _address(self, host: str, port: int) -> str:
        """Return an address of a host, all of which are public."""
        try:
            found = list(self._resolve(host, port))
        except (OSError, UnicodeError):
            raise _failed("its host has no address") from None
        if not found:
            raise _failed("its host has no address")
        for each in found:
            if not is_public(each):
                raise _forbidden("its host lies in a network that is not public")
        return found[0]


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, also behind IPv6's disguises."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64 or ip in COMPATIBLE:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")


def check_hosts(hosts: Sequence[str]) -> None:
    """Refuse what is no host's name."""
    for host in hosts:
        if not host or any(letter in host for letter in "/:@*? ") or host == ".":
            raise InputError(f"serve: --allow-url {host!r} is no host; write one, as example.org")


def _host(name: str) -> str:
    return name.rstrip(".").lower()


def _forbidden(why: str) -> RequestError:
    return RequestError(403, f"a picture's address is refused: {why}; send a data URI")


def _failed(why: str) -> RequestError:
    return RequestError(424, f"a picture could not be fetched: {why}; send a data URI")


def _late() -> RequestError:
    return _failed(f"it did not come within {SECONDS:g} seconds")
