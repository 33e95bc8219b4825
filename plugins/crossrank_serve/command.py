"""``crossrank serve``: a server that clients of other rerankers talk to unchanged."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click

from crossrank.cli.kit import PATH, command
from crossrank.errors import InputError
from crossrank.plugin.hookspecs import adds
from crossrank.plugin.optional import required
from crossrank_serve.limits import Limits, read_limits
from crossrank_serve.log_lines import requests_told

EXAMPLE = """crossrank serve --encoder lite --stage filip --port 8000
CROSSRANK_TOKEN=secret crossrank serve --host 0.0.0.0 --stage filip:weight=0.5"""


@command("serve", EXAMPLE)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="A reranker with its depth, fusion and parameters, as in 'crossrank rerank'; repeat it "
    "for several stages. filip by default.",
)
@click.option("--pipeline", type=PATH, help="A TOML file of [[stages]] instead of --stage.")
@click.option("--encoder", default="lite", show_default=True, help="See 'crossrank plugins'.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 for any."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Batches scored at once, each with its share of the cores; by default one a core, at "
    "most 4, or 1 where a stage or OMP_NUM_THREADS takes all cores itself.",
)
@click.option(
    "--token-file",
    type=PATH,
    help="A file of bearer tokens, one a line; else CROSSRANK_TOKEN, else everybody may ask.",
)
@click.option(
    "--model-name",
    "names",
    multiple=True,
    help="Names of models that are answered, others get 404; every name is answered by default.",
)
@click.option(
    "--allow-host",
    "names_of_host",
    multiple=True,
    metavar="NAME",
    help="Another name by which a server without a token may be asked, as behind a proxy.",
)
@click.option(
    "--gallery",
    type=PATH,
    help="What /v1/search and the page search: a folder of 'crossrank encode', or of pictures.",
)
@click.option("--demo", is_flag=True, help="Search the photographs of 'crossrank demo'.")
@click.option(
    "--allow-url",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="Fetch pictures over https from this host; repeat it for several. From none by default.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: replicas on the machines of a cluster, by Ray Serve.",
)
@click.option("--replicas", metavar="N|LEAST-MOST", help="Of the engine ray; 1 by default.")
@click.option(
    "--gpus-per-replica",
    type=click.FloatRange(0),
    help="Of the engine ray; a part of one, or several.",
)
@click.option("--ray-address", help="Of a running cluster; by default one on this machine alone.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Another limit: " + ", ".join(each.name for each in fields(Limits)) + ".",
)
def serve(
    stages: tuple[str, ...],
    pipeline: Path | None,
    encoder: str,
    host: str,
    port: int,
    workers: int | None,
    token_file: Path | None,
    names: tuple[str, ...],
    names_of_host: tuple[str, ...],
    gallery: Path | None,
    demo: bool,
    hosts: tuple[str, ...],
    engine: str,
    replicas: str | None,
    gpus_per_replica: float | None,
    ray_address: str | None,
    limits: tuple[str, ...],
) -> None:
    """Serve reranking over HTTP in the dialects of Jina, Cohere, Voyage, TEI and vLLM.

    Prints the address when it listens; /ready answers 200 when the models are loaded. Without a
    token, only this machine should be able to reach it.
    """
    for name in ("starlette", "uvicorn", "prometheus_client"):
        required(name, "serve", "the command serve")
    from crossrank_serve.ray_engine import read_replicas
    from crossrank_serve.starting import Settings, start

    bounds = read_limits(limits)
    given = (stages, pipeline, encoder, host, port, workers, token_file, names, hosts)
    many = None
    if engine == "ray":
        many = read_replicas(replicas or "1", gpus_per_replica or 0.0, ray_address)
    elif (replicas, gpus_per_replica, ray_address) != (None, None, None):
        raise InputError(
            "serve: --replicas, --gpus-per-replica and --ray-address are for --engine ray; add it, "
            "or leave them out"
        )
    with requests_told():
        start(Settings(*given, names_of_host, gallery, demo, bounds, many))


crossrank_commands = adds(serve)
