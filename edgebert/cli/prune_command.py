"""``edgebert prune``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebert.cli import options
from edgebert.cli.distill_progress import distill_progress
from edgebert.cli.recovery import recovery_options
from edgebert.cli.scores import say_scores, trained

if TYPE_CHECKING:
    from edgebert.compress.distillation.recovery import Recovery
    from edgebert.convert.evaluation.texts import EvalColumns


@click.command("prune")
@click.argument("checkpoint")
@click.option("-o", "--out", type=options.PATH, required=True, help="The checkpoint to make, a new directory.")
@click.option(
    "--data", type=options.PATH, multiple=True, required=True, metavar="FILE",
    help="What to measure importance on, with labels or without, as for `edgebert distill`. May be repeated.",
)  # fmt: skip
@click.option(
    "--heads", type=click.IntRange(1), metavar="N",
    help="Attention heads to keep in each layer; the width goes down along.  [default: all]",
)  # fmt: skip
@click.option(
    "--hidden-dim", type=click.IntRange(1), metavar="N",
    help="Feed-forward units to keep in each layer.  [default: all]",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, metavar="N",
    help="Measure importance on at most so many examples, chosen by chance.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of that choice.")
@recovery_options
@click.option("--revision", help="Branch, tag or commit of a checkpoint on the Hugging Face hub.")
@click.option("--allow-pickle", is_flag=True, help="Accept pytorch_model.bin, which may run code when it is loaded.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options.as_json
def command(
    checkpoint: str,
    out: Path,
    data: tuple[Path, ...],
    heads: int | None,
    hidden_dim: int | None,
    limit: int,
    seed: int,
    evaluation: Path | None,
    columns: EvalColumns,
    recovery: Recovery | None,
    revision: str | None,
    allow_pickle: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write CHECKPOINT again with the heads and feed-forward units that matter most for its answers.

    CHECKPOINT is a DistilBERT with a head, in a directory or on the Hugging Face hub. Importance is measured on texts.
    A head keeps its size, and DistilBERT is as wide as its heads together: 8 of 12 heads make a width of 512 of 768.
    """
    from edgebert.compress.pruning.facts import sizes_told
    from edgebert.compress.pruning.pipeline import prune

    with distill_progress(hidden=quiet) as shown:
        facts = prune(
            checkpoint,
            out,
            data,
            heads=heads,
            hidden_dim=hidden_dim,
            columns=columns,
            limit=limit,
            seed=seed,
            evaluation=evaluation,
            recovery=recovery,
            revision=revision,
            allow_pickle=allow_pickle,
            command=["edgebert", *sys.argv[1:]],
            progress=shown,
        )
    if as_json:
        click.echo(json.dumps(facts.to_dict(), ensure_ascii=False))
    elif not quiet:
        click.echo(
            f"Wrote {out}: {sizes_told(facts.sizes)}; {facts.parameters:,} of "
            f"{facts.checkpoint['parameters']:,} parameters. {trained(facts.recovery)}"
        )
        say_scores("pruned", facts.evaluation, facts.recovery)
