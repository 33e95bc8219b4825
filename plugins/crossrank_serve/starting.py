"""From options to a running server."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from starlette.types import ASGIApp

import crossrank as cr
from crossrank.cli.kit import read_stage
from crossrank.errors import InputError
from crossrank_demo.pictures import locate, write_crops
from crossrank_demo.scenes import load_scenes
from crossrank_serve.app import build_app
from crossrank_serve.engine import Engine
from crossrank_serve.fetching import Fetcher, check_hosts
from crossrank_serve.gallery import MANIFEST, Gallery
from crossrank_serve.limits import Limits
from crossrank_serve.pipeline_file import read_pipeline
from crossrank_serve.ray_engine import Replicas, serve_replicas
from crossrank_serve.searching import Searcher
from crossrank_serve.server import listen, run
from crossrank_serve.service import Service, refuse_addresses
from crossrank_serve.threads import share_cores
from crossrank_serve.tokens import read_tokens


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options of ``crossrank serve`` say; see its help."""

    stages: tuple[str, ...] = ()
    pipeline: Path | None = None
    encoder: str = "lite"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int | None = None
    token_file: Path | None = None
    names: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    names_of_host: tuple[str, ...] = ()
    gallery: Path | None = None
    demo: bool = False
    limits: Limits = field(default_factory=Limits)
    replicas: Replicas | None = None
    suggestions: tuple[str, ...] = ()


def start(settings: Settings) -> None:
    """Serve until told to end."""
    if settings.demo and settings.gallery is not None:
        raise InputError("serve: --demo has a gallery of its own; leave out --gallery")
    tokens = read_tokens(settings.token_file)
    check_hosts(settings.hosts)
    with TemporaryDirectory(prefix="crossrank-serve-") as scratch:
        if settings.demo:
            suggestions = write_demo(Path(scratch))
            settings = replace(settings, gallery=Path(scratch), suggestions=suggestions)
        if settings.replicas is None:
            _serve_here(settings, tokens)
        else:
            _serve_by_ray(settings, settings.replicas, tokens)


def _serve_here(settings: Settings, tokens: tuple[bytes, ...]) -> None:
    service = service_of(settings)
    bound = listen(settings.host, settings.port)
    host, port = bound.getsockname()[:2]
    _tell(service.name, host, port, tokens)
    app = build_app(service, tokens, _hosts(settings, tokens, host))
    run(app, bound, settings.limits, service.state)


def _serve_by_ray(settings: Settings, replicas: Replicas, tokens: tuple[bytes, ...]) -> None:
    name = Engine(read_stages(settings), settings.encoder, settings.limits).name
    names = _hosts(settings, tokens, settings.host)
    own = replace(settings, workers=settings.workers or 1)

    def build() -> ASGIApp:
        return build_app(service_of(own), tokens, names)

    def tell(port: int) -> None:
        _tell(name, settings.host, port, tokens)

    serve_replicas(build, settings.host, settings.port, replicas, settings.limits.waiting, tell)


def service_of(settings: Settings) -> Service:
    """Return what answers: an engine, its queue, and what searches the gallery."""
    stages = read_stages(settings)
    workers = share_cores(stages, settings.workers)
    engine = Engine(stages, settings.encoder, settings.limits)
    searcher = None
    if settings.gallery is not None:
        modality = "text" if _holds_texts(settings.gallery) else "image"
        gallery = Gallery(settings.gallery, engine.encoder, engine.reads(modality))
        searcher = Searcher(engine, gallery)
    fetch = Fetcher(settings.hosts, settings.limits) if settings.hosts else refuse_addresses
    bounds, suggestions = settings.limits, settings.suggestions
    return Service(engine, bounds, fetch, settings.names, workers, searcher, suggestions)


def _tell(name: str, host: str, port: int, tokens: tuple[bytes, ...]) -> None:
    if not tokens and not _is_loopback(host):
        click.echo(
            f"crossrank: {host} can be reached from elsewhere and there is no token; "
            "set CROSSRANK_TOKEN",
            err=True,
        )
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"{name} on http://{shown}:{port} (Ctrl-C ends it)")


def read_stages(settings: Settings) -> list[cr.Stage]:
    """Return the stages that options or a file name."""
    if settings.pipeline is not None:
        if settings.stages:
            raise InputError("serve: --stage and --pipeline both name stages; leave one out")
        return read_pipeline(settings.pipeline)
    return [read_stage(text) for text in settings.stages or ("filip",)]


def _hosts(settings: Settings, tokens: tuple[bytes, ...], host: str) -> frozenset[str] | None:
    """Return the names that a server without a token is asked by, on this machine alone."""
    if tokens or not _is_loopback(host):
        return None
    own = ("localhost", "127.0.0.1", "::1", host, settings.host.lower())
    return frozenset((*own, *(name.lower() for name in settings.names_of_host)))


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _holds_texts(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() and cr.Collection.open(folder).modality == "text"


def write_demo(folder: Path) -> tuple[str, ...]:
    """Write the photographs' crops to a folder and return queries for them."""
    scenes = load_scenes()
    for photograph in scenes.photographs:
        locate(photograph)
    write_crops(scenes.photographs, folder)
    return tuple(query.text for query in scenes.queries)
