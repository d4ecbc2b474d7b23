#!/usr/bin/env python3
"""Measure the artifacts of a bundle on this board.

    python benchmarks/ondevice.py BUNDLE [--artifact ID ...] [--eval dev.tsv] [--out results.json] [--precision 0.02]

Needs EdgeBERT and one backend, nothing else, and does what `edgebert bench` does. `docs/reference/benchmark.md`
explains what is measured and how to read it. Progress goes to stderr, the table to stdout. Exit status: 0 when
something was measured, 1 when nothing was or something is wrong, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edgebert.bench import BenchmarkReport, read_texts, run_benchmark
from edgebert.bundle import output_error
from edgebert.errors import EdgebertError, OutputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark as the command line says, and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.out is not None:
            _check_writable(options.out)
        report = run_benchmark(
            options.bundle,
            artifacts=options.artifact,
            lengths=options.lengths,
            repetitions=options.repetitions,
            rounds=options.rounds,
            precision=options.precision,
            budget=options.budget,
            threads=options.threads,
            texts=None if options.texts is None else read_texts(options.texts),
            evaluation=options.eval,
            battery=options.battery,
            seed=options.seed,
            progress=lambda step: print(step, file=sys.stderr),
        )
        print(report.table(), end="")
        if options.out is not None:
            _write(report, options.out)
    except EdgebertError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0 if any(result.measurements for result in report.artifacts) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the artifacts of a bundle on this board.")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the bundle's folder")
    parser.add_argument("--artifact", nargs="+", metavar="ID", help="measure only these (default: all that can run)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures there as JSON")
    parser.add_argument("--repetitions", type=int, default=30, metavar="N", help="timed calls per length and round")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="processes per artifact")
    parser.add_argument(
        "--precision", type=float, metavar="SHARE", help="make rounds until every p50 is as sure, such as 0.02"
    )
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help="begin no round that would end later (with --precision: 600)"
    )
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[16, 32, 64, 128], metavar="TOKENS", help="input lengths"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="compute threads (default: what EdgeBERT chooses)")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="your own texts, one per line (default: built-in)")
    parser.add_argument("--eval", type=Path, metavar="FILE", help="right answers, to score every artifact with")
    parser.add_argument("--battery", action="store_true", help="measure energy by the battery, if nothing better does")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the order in which artifacts alternate")
    return parser


def _check_writable(out: Path) -> None:
    """Refuse before minutes of work what could not be written after them."""
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        reason = "it is a folder" if out.is_dir() else "its folder does not exist or may not be written to"
        raise OutputError(f"Cannot write '{out}': {reason}.", hint="Choose another file with --out.")


def _write(report: BenchmarkReport, out: Path) -> None:
    try:
        out.write_bytes(report.to_json())
    except OSError as error:
        raise output_error(error, out) from None


if __name__ == "__main__":
    sys.exit(main())
