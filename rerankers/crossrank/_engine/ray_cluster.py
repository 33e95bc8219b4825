"""The Ray cluster of a run: one that is there, or one that is started for as long as it takes."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crossrank._engine.resources import Resources
from crossrank.errors import ClusterError

PATIENCE = 5.0
"""Seconds for a cluster to take a connection; Ray itself tries for minutes."""

logger = logging.getLogger(__name__)


@contextmanager
def cluster(ray: Any, resources: Resources) -> Iterator[None]:
    """Use the cluster that is there, or start a local one.

    Parameters
    ----------
    ray
        The module.
    resources
        Its ``ray_address``, or else ``RAY_ADDRESS`` of the environment, names a running cluster.

    Raises
    ------
    ClusterError
        If none answers, or one that was started here has no room for a worker.
    """
    if ray.is_initialized():
        _check_room(ray, resources, grows=True)
        yield
        return
    address = resources.ray_address
    if address is None:
        address = os.environ.get("RAY_ADDRESS", "local")
    local = address == "local"
    try:
        if not local:
            _check_answers(address)
        ray.init(
            address=address,
            num_cpus=resources.workers * resources.threads if local else None,
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:
        raise _unusable(address, error) from error
    try:
        _check_room(ray, resources, grows=not local)
        yield
    finally:
        ray.shutdown()


def _unusable(address: str, error: Exception) -> ClusterError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if address == "local":
        return ClusterError(
            f"Ray could not be started on this machine: {said}; free some memory and space, or "
            "run without engine='ray'"
        )
    return ClusterError(
        f"no Ray cluster can be used at {address!r}: {said}; check ray_address (host:port, as "
        "'ray status' shows it), or leave it out to start one on this machine"
    )


def _check_answers(address: str) -> None:
    """Raise if nothing takes connections at ``host:port``; other forms are left to Ray."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), PATIENCE).close()


def _check_room(ray: Any, resources: Resources, *, grows: bool) -> None:
    """Complain if no machine has room for a worker, for which Ray would wait without a word.

    Raises
    ------
    ClusterError
        Unless machines may still come (`grows`), which is a warning.
    """
    wanted = {"CPU": float(resources.threads), "GPU": resources.gpus_per_worker}
    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    if any(all(each.get(name, 0) >= need for name, need in wanted.items()) for each in machines):
        return
    message = (
        f"no machine of the Ray cluster has room for a worker ({resources.threads} cores, "
        f"{resources.gpus_per_worker:g} GPUs); lower threads or gpus_per_worker"
    )
    if not grows:
        raise ClusterError(message)
    logger.warning("%s, or the run waits until one joins", message)
