"""``edgebert drop-layers``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebert.cli import options
from edgebert.cli.distill_progress import distill_progress
from edgebert.cli.layers import LAYERS
from edgebert.cli.recovery import recovery_options
from edgebert.cli.scores import say_scores, trained

if TYPE_CHECKING:
    from edgebert.compress.distillation.recovery import Recovery
    from edgebert.convert.evaluation.texts import EvalColumns


@click.command("drop-layers")
@click.argument("checkpoint")
@click.option("--keep", type=LAYERS, required=True, metavar="LIST", help="The layers to keep, from 0, such as 0,2,4.")
@click.option("-o", "--out", type=options.PATH, required=True, help="The checkpoint to make, a new directory.")
@recovery_options
@click.option("--revision", help="Branch, tag or commit of a checkpoint on the Hugging Face hub.")
@click.option("--allow-pickle", is_flag=True, help="Accept pytorch_model.bin, which may run code when it is loaded.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options.as_json
def command(
    checkpoint: str,
    keep: tuple[int, ...],
    out: Path,
    evaluation: Path | None,
    columns: EvalColumns,
    recovery: Recovery | None,
    revision: str | None,
    allow_pickle: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write CHECKPOINT again with some of its layers.

    CHECKPOINT is a BERT or DistilBERT with a head, in a directory or on the Hugging Face hub; the result is a
    DistilBERT. Nothing is trained without --recover.
    """
    from edgebert.compress.distillation.drop import drop_layers

    with distill_progress(hidden=quiet) as shown:
        facts = drop_layers(
            checkpoint,
            out,
            keep,
            columns=columns,
            evaluation=evaluation,
            recovery=recovery,
            revision=revision,
            allow_pickle=allow_pickle,
            command=["edgebert", *sys.argv[1:]],
            progress=shown,
        )
    if as_json:
        click.echo(json.dumps(facts.to_dict(), indent=1, ensure_ascii=False))
    elif not quiet:
        click.echo(
            f"Wrote {out}: {len(keep)} of {facts.layers} layers, {facts.parameters:,} of "
            f"{facts.checkpoint['parameters']:,} parameters. {trained(facts.recovery)}"
        )
        say_scores("dropped", facts.evaluation, facts.recovery)
