"""``edgebert distill``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from edgebert.cli import options
from edgebert.cli.distill_progress import distill_progress
from edgebert.cli.layers import LAYERS


@click.command("distill")
@click.argument("teacher")
@click.option("-o", "--out", type=options.PATH, required=True, help="The checkpoint to make, a new directory.")
@click.option(
    "--data", type=options.PATH, multiple=True, required=True, metavar="FILE",
    help="What to learn from: TSV, CSV or JSONL with labels or without; lines of text; CoNLL columns for token "
    "classification; SQuAD JSON for question answering. May be repeated.",
)  # fmt: skip
@click.option(
    "--eval", "evaluation", type=options.PATH, metavar="FILE",
    help="Right answers, to score teacher and student with the task's metrics at the end, as for `edgebert convert`.",
)  # fmt: skip
@click.option("--text-column", metavar="NAME", help="Column of the text in tables.  [default: found]")
@click.option("--pair-column", metavar="NAME", help="Column of the second text of a pair.  [default: found]")
@click.option("--label-column", metavar="NAME", help="Column of the right answer.  [default: found]")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N",
    help="Use at most this many rows of the evaluation file.  [default: all]",
)  # fmt: skip
@click.option(
    "--mode", type=click.Choice(["auto", "task", "mlm"]), default="auto", show_default=True,
    help="What the teacher must be: a model with a task, or a masked language model.",
)  # fmt: skip
@click.option("--layers", type=click.IntRange(1), metavar="N", help="The student's layers.  [default: half]")
@click.option("--dim", type=click.IntRange(1), metavar="N", help="The student's width.  [default: the teacher's]")
@click.option("--heads", type=click.IntRange(1), metavar="N", help="Its attention heads.  [default: the teacher's]")
@click.option(
    "--hidden-dim", type=click.IntRange(1), metavar="N",
    help="Its feed-forward width; for another --dim four times that.  [default: the teacher's]",
)  # fmt: skip
@click.option(
    "--take-layers", type=LAYERS, metavar="LIST",
    help="The teacher's layers to begin with, from 0, such as 0,2,4.  [default: evenly spaced]",
)  # fmt: skip
@click.option("--init", metavar="CHECKPOINT", help="Begin as this DistilBERT, whose tokenizer must be the teacher's.")
@click.option(
    "--epochs", type=click.IntRange(1), default=3, show_default=True, metavar="N", help="Passes over the data."
)
@click.option(
    "--max-steps", type=click.IntRange(1), metavar="N", help="End after so many steps, whatever --epochs says."
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, metavar="N",
    help="Examples of a step, on all devices together.",
)  # fmt: skip
@click.option(
    "--learning-rate", type=float, default=5e-5, show_default=True, metavar="X", help="The highest, after the warm-up."
)
@click.option(
    "--warmup", type=float, default=0.05, show_default=True, metavar="X",
    help="Share of the steps in which the learning rate rises.",
)  # fmt: skip
@click.option("--weight-decay", type=float, default=0.01, show_default=True, metavar="X", help="AdamW's, of matrices.")
@click.option(
    "--alpha-kl", type=float, default=5.0, show_default=True, metavar="X", help="What the KL divergence counts."
)
@click.option(
    "--alpha-task", type=float, default=2.0, show_default=True, metavar="X",
    help="What the loss with the labels, or of masked words, counts.",
)  # fmt: skip
@click.option(
    "--alpha-cos", type=float, default=1.0, show_default=True, metavar="X",
    help="What the cosine between the last hidden states counts.",
)  # fmt: skip
@click.option(
    "--temperature", type=float, default=2.0, show_default=True, metavar="X", help="Softens both answers for the KL."
)
@click.option(
    "--max-length", type=click.IntRange(3), metavar="N",
    help="Longest input in training, in tokens.  [default: the teacher's limit]",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of all that is random."
)
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True,
    help="Arithmetic in training; weights stay float32.",
)  # fmt: skip
@click.option("--work", type=options.PATH, metavar="DIR", help="What is needed until the end.  [default: OUT.partial]")
@click.option("--resume", is_flag=True, help="Continue what is in the work folder, if there is one.")
@click.option(
    "--save-every", type=click.IntRange(1), default=500, show_default=True, metavar="N",
    help="Steps between two checkpoints to continue from.",
)  # fmt: skip
@click.option(
    "--report-to", type=click.Choice(["none", "tensorboard", "wandb"]), default="none", show_default=True,
    help="Send the losses there as well.",
)  # fmt: skip
@click.option("--revision", help="Branch, tag or commit of a teacher on the Hugging Face hub.")
@click.option("--allow-pickle", is_flag=True, help="Accept pytorch_model.bin, which may run code when it is loaded.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options.as_json
def command(
    teacher: str,
    out: Path,
    data: tuple[Path, ...],
    evaluation: Path | None,
    text_column: str | None,
    pair_column: str | None,
    label_column: str | None,
    limit: int | None,
    mode: str,
    layers: int | None,
    dim: int | None,
    heads: int | None,
    hidden_dim: int | None,
    take_layers: tuple[int, ...] | None,
    init: str | None,
    epochs: int,
    max_steps: int | None,
    batch_size: int,
    learning_rate: float,
    warmup: float,
    weight_decay: float,
    alpha_kl: float,
    alpha_task: float,
    alpha_cos: float,
    temperature: float,
    max_length: int | None,
    seed: int,
    precision: str,
    work: Path | None,
    resume: bool,
    save_every: int,
    report_to: str,
    revision: str | None,
    allow_pickle: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a smaller DistilBERT to answer as TEACHER (a directory, or a name on the Hugging Face hub) does.

    The result is an ordinary directory of transformers, which `edgebert convert` takes. A run that was stopped goes on
    with the same command and --resume.
    """
    if limit is not None and evaluation is None:
        raise click.UsageError("--limit is of an evaluation file: give --eval as well.")
    if init is not None and any(size is not None for size in (layers, dim, heads, hidden_dim, take_layers)):
        raise click.UsageError("A student that begins as a checkpoint has its size: leave the sizes out, or --init.")
    from edgebert.compress.distillation.losses import Weights
    from edgebert.compress.distillation.pipeline import Inputs, distill
    from edgebert.compress.distillation.recipe import Recipe
    from edgebert.compress.distillation.student import StudentShape
    from edgebert.convert.evaluation.texts import EvalColumns

    first = os.environ.get("RANK", "0") == "0"  # of the processes that a launcher has started
    with distill_progress(hidden=quiet or not first) as shown:
        facts = distill(
            teacher,
            out,
            Inputs(data, evaluation, EvalColumns(text_column, pair_column, label_column), limit),
            shape=StudentShape(layers, dim, heads, hidden_dim, take_layers),
            init=init,
            recipe=Recipe(
                epochs=epochs,
                max_steps=max_steps,
                batch_size=batch_size,
                learning_rate=learning_rate,
                warmup=warmup,
                weight_decay=weight_decay,
                weights=Weights(alpha_kl, alpha_task, alpha_cos, temperature),
                max_length=max_length,
                seed=seed,
                precision=precision,
            ),
            mode=mode,
            work=work,
            resume=resume,
            save_every=save_every,
            report_to=report_to,
            revision=revision,
            allow_pickle=allow_pickle,
            command=["edgebert", *sys.argv[1:]],
            progress=shown,
        )
    if facts is None:
        return
    if as_json:
        click.echo(json.dumps(facts.to_dict(), indent=1, ensure_ascii=False))
    elif not quiet:
        click.echo(f"Wrote {out}: {facts.student['parameters']:,} of {facts.teacher['parameters']:,} parameters.")
        if facts.evaluation is not None:
            for name, value in facts.evaluation.student.items():
                click.echo(f"{name}: teacher {facts.evaluation.teacher[name]:.4f}, student {value:.4f}")
