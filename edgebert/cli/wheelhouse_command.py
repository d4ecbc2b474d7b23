"""``edgebert wheelhouse``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from edgebert.cli import options


@click.command("wheelhouse")
@click.option("-o", "--out", type=options.PATH, required=True, help="The folder to make, e.g. wheelhouse/.")
@click.option(
    "-t", "--target", "name", required=True, metavar="TARGET",
    help="A device family (see `edgebert targets`), or the path of a folder with a target.toml.",
)  # fmt: skip
@click.option(
    "--python", "pythons", multiple=True, metavar="VERSION",
    help="The device's Python, e.g. 3.11. May be repeated.  [default: 3.11, 3.13]",
)  # fmt: skip
@click.option(
    "--runtime", "runtimes", multiple=True, metavar="NAME",
    help="What runs the artifacts: ai-edge-litert, tflite-runtime, onnxruntime or openvino. May be repeated.  "
    "[default: the target's]",
)  # fmt: skip
@click.option(
    "--libc", type=click.Choice(["glibc", "musl"]), default="glibc", show_default=True,
    help="The device's C library; Alpine has musl.",
)  # fmt: skip
@click.option("--lean", is_flag=True, help="Leave out packages that others ask for and EdgeBERT never loads.")
@click.option("--without-tokenizers", is_flag=True, help="With --lean: use EdgeBERT's own tokenizer, which is slower.")
def command(
    out: Path,
    name: str,
    pythons: tuple[str, ...],
    runtimes: tuple[str, ...],
    libc: str,
    lean: bool,
    without_tokenizers: bool,
) -> None:
    """Fill a folder from which a device without network installs EdgeBERT and what runs its artifacts.

    The folder holds wheels for the device's Python and architecture, requirements.txt with versions and hashes, and
    INSTALL.txt with the commands. This machine needs pip and the network.
    """
    if without_tokenizers and not lean:
        raise click.UsageError("--without-tokenizers goes with --lean: pip would bring tokenizers otherwise.")
    from edgebert.convert.target import load_target
    from edgebert.convert.wheelhouse import PYTHONS, make_wheelhouse

    started = time.monotonic()
    made = make_wheelhouse(
        out,
        load_target(name),
        pythons=pythons or PYTHONS,
        runtimes=runtimes,
        libc=libc,
        lean=lean,
        tokenizers=not without_tokenizers,
        progress=lambda line: click.echo(f"[{time.monotonic() - started:5.0f} s] {line}", err=True),
    )
    click.echo(f"Wrote {made.path}: {len(made.wheels)} wheels, {made.size / 1e6:.1f} MB.")
    click.echo(f"Copy it to the device; what to type there stands in {made.path / 'INSTALL.txt'}.")
