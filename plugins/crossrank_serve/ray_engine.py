"""The same routes on many machines: replicas of Ray Serve, each with its own models and queue."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from crossrank.errors import InputError
from crossrank.plugin.optional import required
from crossrank_serve.server import GRACE_SECONDS, listen

NAME = "crossrank"
TARGET = 16
"""Requests under way per replica beyond which another replica starts."""

PATIENCE = {"RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}
"""Gives a proxy the time to start on a machine that is busy loading models."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas there are, and what each may use.

    Parameters
    ----------
    least, most
        Where they differ, Ray adds and removes replicas with the load.
    gpus
        The part of a GPU that each gets; 0 for none.
    address
        Of a running cluster; None for one on this machine alone.
    """

    least: int = 1
    most: int = 1
    gpus: float = 0.0
    address: str | None = None


def read_replicas(text: str, gpus: float, address: str | None) -> Replicas:
    """Return what ``N`` or ``LEAST-MOST`` says."""
    found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2] or found[1]):
        raise InputError(f"serve: --replicas {text!r} is neither N nor LEAST-MOST; write 2 or 1-4")
    return Replicas(int(found[1]), int(found[2] or found[1]), gpus, address)


def options_of(replicas: Replicas, waiting: int) -> dict[str, Any]:
    """Return what Ray Serve is told of a deployment."""
    options: dict[str, Any] = {
        "name": NAME,
        "max_ongoing_requests": waiting,
        "graceful_shutdown_timeout_s": GRACE_SECONDS,
        "ray_actor_options": {"num_cpus": 1, "num_gpus": replicas.gpus},
    }
    if replicas.least == replicas.most:
        return {**options, "num_replicas": replicas.least}
    scale = {"min_replicas": replicas.least, "max_replicas": replicas.most}
    return {**options, "autoscaling_config": {**scale, "target_ongoing_requests": TARGET}}


def serve_replicas(
    build: Callable[[], ASGIApp],
    host: str,
    port: int,
    replicas: Replicas,
    waiting: int,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until told to end.

    Parameters
    ----------
    build
        Makes the application, in every replica.
    host, port
        Where each machine's proxy listens.
    replicas
        See `Replicas`.
    waiting
        Requests that a replica takes at once.
    listening
        Called with the port when requests are answered.

    Raises
    ------
    MissingPackageError
        If Ray Serve is not installed.
    InputError
        If the address is taken, or there is no such cluster.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    ray = required("ray", "serve-ray", "the engine ray of the command serve")
    serve = required("ray.serve", "serve-ray", "the engine ray of the command serve")
    bound = listen(host, port)  # says what is wrong before a cluster starts
    port = bound.getsockname()[1]
    bound.close()

    def built() -> ASGIApp:
        return build()

    try:
        ray.init(address=replicas.address, include_dashboard=False, log_to_driver=False)
    except (ConnectionError, RuntimeError) as error:
        raise InputError(
            f"serve: there is no cluster of Ray at {replicas.address!r}; start one with "
            "'ray start --head', or leave out --ray-address"
        ) from error
    try:
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):  # behind Ray, which sets its own
            signal.signal(number, lambda *_: ended.set())
        serve.start(http_options={"host": host, "port": port})
        deployment = serve.deployment(serve.ingress(built)(), **options_of(replicas, waiting))
        serve.run(deployment.bind(), name=NAME, route_prefix="/")
        listening(port)
        ended.wait()
    finally:
        serve.shutdown()
        ray.shutdown()
