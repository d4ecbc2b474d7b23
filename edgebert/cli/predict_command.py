"""``edgebert predict``."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgebert.cli import inputs, options
from edgebert.errors import InputError

_TRUNCATION = {"windows": False, "cut": True, "error": "error"}
_INDEX = re.compile(r"inputs\[\d+\]: ")


@click.command("predict")
@click.argument("bundle", type=options.PATH)
@click.argument("texts", nargs=-1)
@click.option(
    "-f", "--file", "file", type=options.PATH, metavar="FILE",
    help="Read texts from a file, one a line, or JSONL (.jsonl); - is standard input.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True,
    help="Label and score with a tab between, or JSON, one line per text.",
)  # fmt: skip
@click.option("--top-k", type=click.IntRange(1), metavar="K", help="Print the best K labels.  [default: the best one]")
@click.option("--all", "everything", is_flag=True, help="Print every label.")
@click.option(
    "--function", "function_to_apply", type=click.Choice(["sigmoid", "softmax", "none"]),
    help="What makes scores of logits.  [default: by the model's problem type]",
)  # fmt: skip
@click.option(
    "--aggregation", "aggregation_strategy", type=click.Choice(["none", "simple", "first", "average", "max"]),
    help="For token classification: how tokens are joined to entities.  [default: none]",
)  # fmt: skip
@click.option(
    "--truncation", type=click.Choice(list(_TRUNCATION)), default="windows", show_default=True,
    help="Text over the model's limit: read all of it in windows, cut it, or refuse it.",
)  # fmt: skip
@click.option(
    "--batch-size", type=click.IntRange(1), default=8, show_default=True, metavar="N",
    help="How many texts run together at most.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail when the best artifact fails, instead of using the next.")
@click.option("--explain", is_flag=True, help="Tell on standard error which artifact runs, and why.")
@options.pins
def command(
    bundle: Path,
    texts: tuple[str, ...],
    file: Path | None,
    form: str,
    top_k: int | None,
    everything: bool,
    function_to_apply: str | None,
    aggregation_strategy: str | None,
    truncation: str,
    batch_size: int,
    strict: bool,
    explain: bool,
    artifact: str | None,
    backend: str | None,
    precision: str | None,
    threads: int | None,
) -> None:
    """Answer TEXTS, or the lines of a file or of standard input, with the best artifact that works here.

    Every line gets an answer, also an empty one. A line of JSONL is a text in quotes, or an object with "text" and,
    for a pair, "text_pair". Any number of lines is answered in constant memory.
    """
    from edgebert.runtime import load

    if texts and file:
        raise click.UsageError("Give texts or --file, not both.")
    if top_k and everything:
        raise click.UsageError("Give --top-k or --all, not both.")
    chosen: dict[str, Any] = {"truncation": _TRUNCATION[truncation]}
    if top_k or everything:
        chosen["top_k"] = top_k
    if function_to_apply:
        chosen["function_to_apply"] = function_to_apply
    if aggregation_strategy:
        chosen["aggregation_strategy"] = aggregation_strategy
    with contextlib.ExitStack() as stack:
        source = inputs.Arguments(texts) if texts else inputs.open_lines(file, stack)
        model = stack.enter_context(
            load(bundle, artifact=artifact, backend=backend, precision=precision, threads=threads, strict=strict)
        )
        if explain:
            click.echo(str(model.explain()), err=True)
        results = model.stream(source, batch_size=batch_size, **chosen)
        while True:
            try:
                result = next(results)
            except StopIteration:
                return
            except InputError as error:
                # The input that was read last; what went before it has been answered.
                reason = _INDEX.sub("", error.message)
                raise InputError(f"{source.place}: {reason}", hint=error.hint) from error
            click.echo(json.dumps(result, ensure_ascii=False) if form == "jsonl" else _line(result))


def _line(result: Any) -> str:  # noqa: ANN401 (results are plain dicts and lists)
    entries = result if isinstance(result, list) else [result]
    return "\t".join("\t".join(_fields(entry)) for entry in entries)


def _fields(entry: dict[str, Any]) -> Iterator[str]:
    """A label and its score, or a word, its entity and its score."""
    if "word" in entry:
        yield entry["word"]
    yield entry.get("label") or entry.get("entity_group") or entry["entity"]
    yield f"{entry['score']:.4f}"
