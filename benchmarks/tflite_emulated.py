"""One .tflite file on emulated ARM CPUs in both TFLite runtimes, against the same file on this machine.

Takes the texts of SST-2's dev set that fit 16 tokens, since an emulated inference takes seconds. The root and the
emulator are those of the tests (docs/explanation/arm64.md)::

    python benchmarks/tflite_emulated.py CHECKPOINT dev.tsv layouts/fp32.tflite layouts/scales.tflite --out results.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.tflite_runtimes import WORKER, ask, sha256, write_inputs  # noqa: E402
from tests.arm64.cpus import PARTS  # noqa: E402
from tests.arm64.packages import Unavailable  # noqa: E402
from tests.arm64.root import Board, build_board  # noqa: E402

TOKENS = 16
RUNTIMES = ("ai-edge-litert", "tflite-runtime")
OLD = ("tflite-runtime==2.14.0", "numpy<2")
_PIP = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--implementation=cp")
_PLATFORMS = ("manylinux_2_34_aarch64", "manylinux2014_aarch64")
"""The old runtime's wheel asks for the glibc of Debian 12."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=click.Path(exists=True, file_okay=False))
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The JSON file to write.")
@click.option("--rows", default=40, show_default=True, type=click.IntRange(1), help="How many texts.")
@click.option("--cpu", "cpus", multiple=True, type=click.Choice(list(PARTS)), help="Only these.")
@click.option("--runtime", "runtimes", multiple=True, type=click.Choice(RUNTIMES), help="Only these.")
def main(
    checkpoint: str,
    data: Path,
    files: tuple[Path, ...],
    out: Path,
    rows: int,
    cpus: tuple[str, ...],
    runtimes: tuple[str, ...],
) -> None:
    """Compare FILES of CHECKPOINT, with a signature of 16 tokens, on emulated CPUs and here."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gold, inputs = short_inputs(checkpoint, data, rows, folder)
        try:
            boards = make_boards(folder, runtimes or RUNTIMES)
        except Unavailable as error:
            raise click.ClickException(str(error)) from error
        emulated = [cpu for cpu in cpus or PARTS if cpu in boards[0][1].cpus]
        result: dict[str, Any] = {
            "command": "python benchmarks/tflite_emulated.py " + " ".join(Path(one).name for one in sys.argv[1:]),
            "checkpoint": Path(checkpoint).name,
            "data": {"file": data.name, "sha256": sha256(data), "rows": len(gold), "tokens": TOKENS},
            "files": [],
        }
        for file in files:
            here = folder / "here.npy"
            arguments = [str(file.absolute()), str(inputs), str(here), "1", "0"]
            told = ask(sys.executable, arguments)
            if "failed" in told:
                raise click.ClickException(f"{file}: {told['failed']}")
            expected = np.load(here)
            entry = {
                "file": file.name,
                "sha256": sha256(file),
                "here": {"runtime": told["runtime"], "version": told["version"], **figures(expected, expected, gold)},
                "emulated": [],
            }
            result["files"].append(entry)
            for runtime, board in boards:
                for cpu in emulated:
                    one = {"cpu": cpu, "runtime": runtime, **emulate(board, cpu, arguments, expected, gold)}
                    entry["emulated"].append(one)
                    click.echo(f"{file.name}: {one}", err=True)
                    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")  # it takes long: keep it


def short_inputs(checkpoint: str, data: Path, rows: int, folder: Path) -> tuple[NDArray[np.int64], Path]:
    """The classes of ``rows`` texts of at most 16 tokens, spread over ``data``, and a file with them for the worker."""
    gold = write_inputs(checkpoint, data, folder / "all.npz")
    with np.load(folder / "all.npz") as found:
        everything = {name: found[name] for name in found.files}
    short = np.flatnonzero(everything["bucket"] == TOKENS)
    chosen = short[:: max(1, len(short) // rows)][:rows]
    np.savez(folder / "short.npz", **{name: values[chosen] for name, values in everything.items()})
    return gold[chosen], folder / "short.npz"


def make_boards(folder: Path, runtimes: tuple[str, ...]) -> list[tuple[str, Board]]:
    """A board with each runtime.

    Raises:
        Unavailable: a tool or the network is missing.
    """
    new = build_board(folder / "board")
    boards = [("ai-edge-litert", new)] if "ai-edge-litert" in runtimes else []
    if "tflite-runtime" in runtimes:
        old = folder / "old"
        old.mkdir()
        board = new.keep_only([], old)
        version = new.run("cortex-a72", ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).stdout.strip()
        platforms = [f"--platform={name}" for name in _PLATFORMS]
        command = [sys.executable, "-m", "pip", "install", *_PIP, f"--python-version={version}", *platforms]
        done = subprocess.run([*command, "--target", str(old / "site"), *OLD], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unavailable(f"pip cannot install {' and '.join(OLD)} for aarch64: {done.stderr.strip()[-300:]}")
        boards.append(("tflite-runtime", board))
    return boards


def emulate(
    board: Board, cpu: str, arguments: list[str], expected: NDArray[np.float32], gold: NDArray[np.int64]
) -> dict[str, Any]:
    """What the worker says on an emulated CPU, beside what it says here."""
    done = board.run(cpu, [WORKER.absolute(), *arguments])
    if done.returncode != 0:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    told = json.loads(done.stdout.splitlines()[-1])
    logits = np.load(arguments[2])
    return {"version": told["version"], "delegated_parts": told["delegated_parts"], **figures(logits, expected, gold)}


def figures(
    logits: NDArray[np.float32], expected: NDArray[np.float32], gold: NDArray[np.int64]
) -> dict[str, int | float]:
    """How the answers compare with those here and with the classes of the texts."""
    decided = logits.argmax(axis=1)
    return {
        "labels_as_here": int((decided == expected.argmax(axis=1)).sum()),
        "max_abs_diff_from_here": float(np.abs(logits - expected).max()),
        "correct": int((decided == gold).sum()),
    }


if __name__ == "__main__":
    main()
