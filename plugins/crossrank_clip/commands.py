"""Turn released weights into checkpoints that an encoder reads."""

from __future__ import annotations

from pathlib import Path

import click

from crossrank.plugin.hookspecs import adds

PATH = click.Path(path_type=Path)


@click.group("convert")
def convert_group() -> None:
    """Turn released weights into checkpoints that an encoder reads."""


@convert_group.command("clip-state-dict")
@click.argument("file", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="A new folder for encoder 'clip'.")
@click.option(
    "--activation",
    type=click.Choice(["quick-gelu", "gelu"]),
    required=True,
    help="Which one it was trained with: quick-gelu for OpenAI's weights and those fine-tuned from "
    "them, gelu for LAION's. The file does not tell.",
)
@click.option(
    "--tokenizer",
    default="openai/clip-vit-base-patch32",
    show_default=True,
    help="A folder or hub name with CLIP's tokenizer.",
)
@click.option("--vision-heads", type=int, help="Of an image tower of unusual width.")
@click.option("--text-heads", type=int, help="Of a text tower whose heads are not 64 wide.")
def clip_state_dict(
    file: Path,
    output: Path,
    activation: str,
    tokenizer: str,
    vision_heads: int | None,
    text_heads: int | None,
) -> None:
    """Convert a state dict in OpenAI's layout, such as GeoRSCLIP's or RemoteCLIP's."""
    from crossrank_clip.state_dict import convert

    convert(
        file,
        output,
        quick_gelu=activation == "quick-gelu",
        tokenizer=tokenizer,
        vision_heads=vision_heads,
        text_heads=text_heads,
    )
    click.echo(f"{output}: encode with --encoder clip --param model={output}")


crossrank_commands = adds(convert_group)
