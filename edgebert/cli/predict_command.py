"""``edgebert predict``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebert.cli import inputs, options
from edgebert.cli.answers import text_line
from edgebert.cli.task_options import chosen, in_flags, task_options
from edgebert.errors import InputError

if TYPE_CHECKING:
    from edgebert.runtime import Model


@click.command("predict")
@click.argument("bundle", type=options.PATH)
@click.argument("texts", nargs=-1)
@click.option(
    "-f", "--file", "file", type=options.PATH, metavar="FILE",
    help="Read inputs from a file, one a line: texts, or JSON (.jsonl); - is standard input.",
)  # fmt: skip
@click.option("--context", metavar="TEXT", help="Question answering: where to look; each input is a question about it.")
@click.option("--context-file", type=options.PATH, metavar="FILE", help="Question answering: read the context here.")
@click.option(
    "--choice", "choices", multiple=True, metavar="TEXT",
    help="Multiple choice: what may go with the prompt; each input is a prompt. Repeat it.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True,
    help="Columns with tabs between, or JSON, one line per input.",
)  # fmt: skip
@click.option(
    "--vectors", type=options.PATH, metavar="FILE",
    help="Sentence similarity: write the vectors as an array to this .npy file, and print nothing.",
)  # fmt: skip
@click.option(
    "--vector-precision", type=click.Choice(["float32", "int8", "binary"]), metavar="P",
    help="How --vectors stores them: float32, int8 or binary (a bit for each value).  [default: float32]",
)  # fmt: skip
@task_options
@click.option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, metavar="N",
    help="How many inputs run together at most.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail when the best artifact fails, instead of using the next.")
@click.option("--explain", is_flag=True, help="Tell on standard error which artifact runs, and why.")
@options.pins
def command(
    bundle: Path,
    texts: tuple[str, ...],
    file: Path | None,
    context: str | None,
    context_file: Path | None,
    choices: tuple[str, ...],
    form: str,
    vectors: Path | None,
    vector_precision: str | None,
    batch_size: int,
    strict: bool,
    explain: bool,
    artifact: str | None,
    backend: str | None,
    precision: str | None,
    threads: int | None,
    **of_task: Any,  # noqa: ANN401 (what task_options adds)
) -> None:
    """Answer TEXTS, or the lines of a file or of standard input, with the best artifact that works here.

    Every line gets an answer. A line of JSONL is a text in quotes or an object: {"text", "text_pair"} for a pair,
    {"question", "context"} for question answering, {"prompt", "choices"} for multiple choice. Any number of lines is
    answered in constant memory.
    """
    from edgebert.runtime import load

    if texts and file:
        raise click.UsageError("Give texts or --file, not both.")
    if context is not None and context_file is not None:
        raise click.UsageError("Give --context or --context-file, not both.")
    if vector_precision is not None and vectors is None:
        raise click.UsageError("--vector-precision is that of a file: give --vectors as well.")
    given = chosen(of_task)
    companions: dict[str, object] = {}
    if context_file is not None:
        context = inputs.read_text(context_file)
    if context is not None:
        companions["context"] = context
    if choices:
        companions["choices"] = choices
    with contextlib.ExitStack() as stack:
        source: inputs.Source = inputs.Arguments(texts) if texts else inputs.open_lines(file, stack)
        model = stack.enter_context(
            load(bundle, artifact=artifact, backend=backend, precision=precision, threads=threads, strict=strict)
        )
        if explain:
            click.echo(str(model.explain()), err=True)
        source = inputs.Completed(source, companions, model.example("...")[0], model.task)
        results = _answers(model, source, batch_size, given)
        if vectors is not None:
            _write_vectors(model, results, vectors, vector_precision or "float32")
            return
        for result in results:
            click.echo(json.dumps(result, ensure_ascii=False) if form == "jsonl" else text_line(result))
        bigger = model.explain().bigger
        if explain and bigger is not None:
            counts = bigger.escalations
            click.echo(f"escalated: {counts.escalated:,} of {counts.answered:,} ({counts.share:.1%})", err=True)


def _answers(model: Model, source: inputs.Source, batch_size: int, given: dict[str, Any]) -> Iterator[Any]:
    """The results, with errors that name the flag, or the place of the input."""
    try:
        results = model.stream(source, batch_size=batch_size, **given)
    except InputError as error:
        raise in_flags(error, model.task) from error
    while True:
        try:
            result = next(results)
        except StopIteration:
            return
        except InputError as error:
            # The input that was read last; what went before it has been answered.
            raise in_flags(error, model.task).at(source.place) from error
        yield result


def _write_vectors(model: Model, results: Iterator[Any], path: Path, precision: str) -> None:
    import numpy as np

    from edgebert.cli.vectors import vector_file
    from edgebert.runtime.tasks.embeddings import quantize_vectors

    try:
        form = model.embed([], precision=precision)
    except InputError as error:
        raise InputError(f"--vectors does not fit: {error.message}", hint=error.hint) from error
    with vector_file(path, form.dtype, form.shape[1]) as append:
        for result in results:
            append(quantize_vectors(np.array([result], np.float32), precision))
