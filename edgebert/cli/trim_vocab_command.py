"""``edgebert trim-vocab``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from edgebert.cli import options


@click.command("trim-vocab")
@click.argument("checkpoint")
@click.option(
    "--texts", type=options.PATH, multiple=True, required=True, metavar="FILE",
    help="The corpus: TSV, CSV or JSONL; any other file is text, one a line. May be repeated.",
)  # fmt: skip
@click.option("-o", "--out", type=options.PATH, required=True, help="The checkpoint to make, a new directory.")
@click.option(
    "--held-out", type=options.PATH, metavar="FILE",
    help="Texts to measure the change of tokenization on.  [default: one in 20 of the corpus, which is not counted]",
)  # fmt: skip
@click.option(
    "--min-count", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Keep the tokens that occur so often in the corpus.",
)  # fmt: skip
@click.option(
    "--size", type=click.IntRange(1), metavar="N",
    help="Keep at most so many tokens, and of the corpus's those that would cost the most tokens.  [default: all]",
)  # fmt: skip
@click.option(
    "--keep", multiple=True, metavar="TOKEN",
    help="Keep this token as well; or the name of a file with one a line. May be repeated.",
)  # fmt: skip
@click.option("--text-column", metavar="NAME", help="Column of the text in tables.  [default: found]")
@click.option("--pair-column", metavar="NAME", help="Column of the second text of a pair.  [default: found]")
@click.option("--revision", help="Branch, tag or commit of a checkpoint on the Hugging Face hub.")
@click.option("--allow-pickle", is_flag=True, help="Accept pytorch_model.bin, which may run code when it is loaded.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@options.as_json
def command(
    checkpoint: str,
    texts: tuple[Path, ...],
    out: Path,
    held_out: Path | None,
    min_count: int,
    size: int | None,
    keep: tuple[str, ...],
    text_column: str | None,
    pair_column: str | None,
    revision: str | None,
    allow_pickle: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write CHECKPOINT again with a smaller vocabulary: the tokens that a corpus needs.

    CHECKPOINT is a directory, or a name on the Hugging Face hub, that `edgebert convert` takes; so is the result.
    Special tokens and single characters are kept, so that every text still tokenizes. Texts whose tokens are all kept
    have the same answers, to the bit in float32.
    """
    from edgebert.compress.trim import trim_vocabulary
    from edgebert.compress.trim_report import show
    from edgebert.convert.evaluation.texts import EvalColumns

    started = time.monotonic()

    def progress(line: str) -> None:
        if not quiet:
            click.echo(f"[{time.monotonic() - started:5.0f} s] {line}", err=True)

    report = trim_vocabulary(
        checkpoint,
        out,
        texts=texts,
        held_out=held_out,
        columns=EvalColumns(text_column, pair_column),
        min_count=min_count,
        size=size,
        keep=keep,
        revision=revision,
        allow_pickle=allow_pickle,
        command=["edgebert", *sys.argv[1:]],
        progress=progress,
    )
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False))
    elif not quiet:
        click.echo(show(report))
        click.echo(f"\nWrote {out}. Next: edgebert convert {out} -o BUNDLE -t TARGET")
