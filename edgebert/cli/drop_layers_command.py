"""``edgebert drop-layers``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from edgebert.cli import options
from edgebert.cli.layers import LAYERS


@click.command("drop-layers")
@click.argument("checkpoint")
@click.option("--keep", type=LAYERS, required=True, metavar="LIST", help="The layers to keep, from 0, such as 0,2,4.")
@click.option("-o", "--out", type=options.PATH, required=True, help="The checkpoint to make, a new directory.")
@click.option("--revision", help="Branch, tag or commit of a checkpoint on the Hugging Face hub.")
@click.option("--allow-pickle", is_flag=True, help="Accept pytorch_model.bin, which may run code when it is loaded.")
@options.as_json
def command(
    checkpoint: str,
    keep: tuple[int, ...],
    out: Path,
    revision: str | None,
    allow_pickle: bool,
    as_json: bool,
) -> None:
    """Write CHECKPOINT again with some of its layers, without training.

    CHECKPOINT is a BERT or DistilBERT with a head, in a directory or on the Hugging Face hub; the result is a
    DistilBERT. `edgebert distill` begins with the same weights, and trains them.
    """
    from edgebert.compress.distillation.drop import drop_layers

    facts = drop_layers(
        checkpoint, out, keep, revision=revision, allow_pickle=allow_pickle, command=["edgebert", *sys.argv[1:]]
    )
    if as_json:
        click.echo(json.dumps(facts.to_dict(), indent=1, ensure_ascii=False))
    else:
        click.echo(
            f"Wrote {out}: {len(keep)} of {facts.layers} layers, {facts.parameters:,} of "
            f"{facts.checkpoint['parameters']:,} parameters. Nothing was trained."
        )
