"""Search a folder of photographs by talking, in the terminal or in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

import crossrank as cr
from crossrank.cli.kit import PATH, muted, progress, read_stage
from crossrank.cli.kit import command as crossrank_command
from crossrank.errors import InputError
from crossrank.plugin.hookspecs import adds

if TYPE_CHECKING:
    from crossrank_dialogue.models import CachedModel
    from crossrank_dialogue.questioners import Questioner
    from crossrank_dialogue.reformulators import Reformulator

EXAMPLE = """crossrank chat --gallery photos
crossrank chat --gallery photos --page
crossrank chat --gallery photos --llm http://localhost:8000/v1 --llm-model qwen --save talk.json"""
REWRITES = ("answers", "concat", "fuse", "rules")
"""The names in `crossrank_dialogue.makers.REFORMULATORS`, which is long to import."""


@crossrank_command("chat", EXAMPLE)
@click.option(
    "--gallery", required=True, type=PATH, help="A collection, or a folder of photographs."
)
@click.option("--encoder", help="For photographs; 'lite' by default, see 'crossrank plugins'.")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="NAME[:KEY=VALUE,…]",
    help="A reranker, as for 'crossrank rerank'; by default filip where the gallery has tokens.",
)
@click.option(
    "--depth", default=100, show_default=True, type=click.IntRange(1), help="What is reranked."
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="What is shown.")
@click.option(
    "--rewrite",
    type=click.Choice(REWRITES),
    default="fuse",
    show_default=True,
    help="How dialogues become queries without a language model.",
)
@click.option("--ask/--no-ask", default=True, show_default=True, help="Whether it asks questions.")
@click.option("--llm", metavar="URL", help="A language model behind OpenAI's protocol.")
@click.option("--llm-model", default="default", show_default=True, help="Its name there.")
@click.option(
    "--llm-key",
    metavar="VARIABLE",
    default="OPENAI_API_KEY",
    show_default=True,
    help="The variable of the environment that holds its key, if it needs one.",
)
@click.option(
    "--llm-timeout", default=30.0, show_default=True, type=click.FloatRange(0.1), help="Seconds."
)
@click.option("--save", type=PATH, help="A file for the conversation, written after each answer.")
@click.option("--resume", type=PATH, help="Go on with a conversation that was saved.")
@click.option(
    "--changed-gallery", is_flag=True, help="Resume although the gallery is not what it was."
)
@click.option("--store", type=PATH, help="Where to keep the features of photographs.")
@click.option("--page", is_flag=True, help="Talk in a browser: serve a page to this machine only.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Of the page; 0 for a free one."
)
@progress
def command(
    gallery: Path,
    encoder: str | None,
    stages: tuple[str, ...],
    depth: int,
    top: int,
    rewrite: str,
    ask: bool,
    llm: str | None,
    llm_model: str,
    llm_key: str,
    llm_timeout: float,
    save: Path | None,
    resume: Path | None,
    changed_gallery: bool,
    store: Path | None,
    page: bool,
    port: int,
    progress: bool,
) -> None:
    """Find a picture by talking: say what you look for, answer what is asked, watch the list.

    Works without a language model. Photographs are encoded once and kept. In the terminal, /help
    lists what else can be typed; an empty line means that you do not know.
    """
    from crossrank_dialogue.chat import Chat
    from crossrank_dialogue.models import CachedModel, OpenAIModel
    from crossrank_dialogue.pictures import open_gallery
    from crossrank_dialogue.server import serve
    from crossrank_dialogue.terminal import Terminal

    chosen = [read_stage(text) for text in stages]
    pictures = open_gallery(gallery, encoder, chosen or [cr.Stage("filip")], store, progress)
    if not chosen and "tokens" in pictures:
        chosen = [cr.Stage("filip")]
    pipeline = cr.Pipeline(chosen) if chosen else None
    key = os.environ.get(llm_key)
    model = (
        None
        if llm is None
        else CachedModel(OpenAIModel(llm, llm_model, key, llm_timeout), timeout=llm_timeout)
    )
    reformulator, questioner = _talkers(model, rewrite, ask)
    if resume is None:
        chat = Chat(pipeline, pictures, reformulator, questioner, encoder=encoder, depth=depth)
    else:
        changed = "rank" if changed_gallery else "raise"
        if not changed_gallery:
            _check_resumable(resume)
        chat = Chat.resume(
            resume, pipeline, pictures, reformulator, questioner, encoder=encoder, changed=changed
        )
    keep = resume if save is None else save
    # a model's failures are told once, by the trace
    with muted("crossrank_dialogue"):
        if page:
            serve(chat, port=port, save=keep, say=click.echo)
        else:
            Terminal(chat, top=top, save=keep).run()


def _talkers(
    model: CachedModel | None, rewrite: str, ask: bool
) -> tuple[Reformulator, Questioner | None]:
    """Return who rewrites and who asks."""
    from crossrank_dialogue.drop_questioner import DropQuestioner
    from crossrank_dialogue.llm import Llm
    from crossrank_dialogue.llm_questioner import LlmQuestioner
    from crossrank_dialogue.makers import as_reformulator
    from crossrank_dialogue.reformulators import Fuse

    plain = as_reformulator(rewrite)
    without = DropQuestioner()
    if model is None:
        return plain, without if ask else None
    return Fuse(Llm(model)), LlmQuestioner(model, fallback=without) if ask else None


def _check_resumable(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path} is no file; give one that --save wrote")


crossrank_commands = adds(command)
