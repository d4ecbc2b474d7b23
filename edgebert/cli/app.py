"""The ``edgebert`` command: finding the verb, and turning every error into one message."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import TextIO

import click

from edgebert._version import __version__
from edgebert.errors import BackendFallbackWarning, EdgebertError, RankingWarning, SlowBackendWarning

_VERBS = {
    "convert": "Convert a checkpoint into a bundle, and measure every artifact.",
    "trim-vocab": "Make a checkpoint smaller: the vocabulary that a corpus needs.",
    "distill": "Train a smaller checkpoint to answer as a larger one does.",
    "prune": "Make a checkpoint smaller: the heads and feed-forward units that matter most.",
    "drop-layers": "Make a checkpoint smaller: some of its layers.",
    "compress": "Find which smaller forms of a checkpoint give which size, accuracy and latency.",
    "cascade": "Make one bundle of two: the small one answers what it is sure of.",
    "predict": "Answer texts with a bundle.",
    "inspect": "Show what a bundle holds.",
    "build-plan": "Build the TensorRT plan of a bundle on this device, and test it.",
    "verify": "Check a bundle: hashes, then the golden self-test of every artifact.",
    "bench": "Measure a bundle on this machine.",
    "tune": "Measure how a bundle runs best on this machine, and remember it.",
    "doctor": "Tell what this machine can run, and what is missing.",
    "targets": "List the device families, or show one.",
    "wheelhouse": "Fill a folder from which a device without network installs EdgeBERT.",
    "demo": "Convert, verify, use and measure the embedded model.",
}

_RUNTIME = Path(__file__).parents[1] / "runtime"

EXIT_INTERRUPTED = 130
EXIT_INTERNAL = 70


class _ReaderGone(Exception):
    """The reader of our output has gone, as ``head`` does."""


class _LazyGroup(click.Group):
    """Lists the verbs without importing them: a device has not what ``convert`` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = import_module(f"edgebert.cli.{name.replace('-', '_')}_command").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error  # click itself would end with exit code 1

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success; 1 error; 2 wrong usage; 3 an artifact was refused by the gate, or bench "
    "--compare found a figure worse; 4 a bundle failed its verification; 70 a defect of EdgeBERT; 130 interrupted.",
)
@click.version_option(__version__, prog_name="edgebert")
def cli() -> None:
    """Put DistilBERT on edge devices, with evidence that it is still the same model."""


def main() -> None:
    """Run the command line and exit. Every error is one message on standard error, never a traceback."""
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files may hold bytes that are not UTF-8, texts half of a surrogate pair.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(_run())


def _run() -> int:
    try:
        # What a command exits with is returned here, not raised.
        code = cli.main(prog_name="edgebert", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except EdgebertError as error:
        _say("Error", error.message)
        if error.hint:
            _say("Hint", error.hint)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only break the message
        _say("Interrupted", "nothing is left half-written.")
        return EXIT_INTERRUPTED
    except _ReaderGone:
        # Not an error. Nothing more can be printed, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ImportError as error:
        return _missing(error)
    except OSError as error:
        _say("Error", f"{_where(error)}: {error.strerror or error}.")
        return 1
    except MemoryError:
        _say("Error", "there is not enough memory for this.")
        return 1
    except Exception as error:
        return _defect(error)


def _where(error: OSError) -> str:
    if error.filename:
        return f"'{os.fsdecode(error.filename)}'"
    return "Cannot write the output" if error.errno == errno.ENOSPC else "The system refused"


def _missing(error: ImportError) -> int:
    name = (error.name or "").partition(".")[0]
    if name == "edgebert":
        return _defect(error)
    _say("Error", f"this command needs the Python package {name or error}, which is not installed.")
    _say("Hint", 'On a build host: pip install "edgebert[convert]".')
    return 1


def _defect(error: Exception) -> int:
    if os.environ.get("EDGEBERT_TRACEBACK"):
        traceback.print_exception(error)
    _say("Internal error", f"{type(error).__name__}: {error}")
    _say("Hint", "This is a defect of EdgeBERT. Set EDGEBERT_TRACEBACK=1 to see where, and report it.")
    return EXIT_INTERNAL


def _say(kind: str, message: str) -> None:
    click.echo(f"{kind}: {message.rstrip()}", err=True)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Shows what EdgeBERT warns of, such as a target that is not in the vocabulary, and not what libraries do."""
    told_by_task = category is UserWarning and Path(filename).is_relative_to(_RUNTIME)
    if told_by_task or issubclass(category, (BackendFallbackWarning, RankingWarning, SlowBackendWarning)):
        _say("Warning", str(message))
