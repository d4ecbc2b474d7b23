"""EdgeBERT and what its users would otherwise pick, in one run: see README.md.

    python benchmarks/peers/run.py --checkpoint DIR --data SST2 --bundle BUNDLE --out FILE

Exit status: 0 when every peer was measured, 3 when the results lack one, 1 when there are no results.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import click
from harness.catalogue import OURS, Peer, choose, peers_of
from harness.client import Worker, worker_command
from harness.environments import Environments
from harness.files import Files, clean_environment
from harness.report import FORMAT, commit, compare, sha256, table, write
from harness.roofline import measure_rates, shares
from harness.rounds import SERVED_TEXTS, TRIAL_TEXTS, WARM_UP_TEXTS, Bench, Plan
from harness.summary import summarize
from harness.texts import Texts, check_checkpoint, read_texts

from edgebert.bench.noise import MAX_IDLE_LOAD
from edgebert.bench.process import load_average
from edgebert.bundle import Manifest, open_bundle
from edgebert.convert.machine import machine_facts
from edgebert.devices import describe_machine
from edgebert.errors import BackendError, EdgebertError, OutputError

REPOSITORY = Path(__file__).parents[2]
INCOMPLETE = 3

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--checkpoint", required=True, type=_FOLDER, help="Hugging Face folder of the classifier.")
@click.option("--data", required=True, type=_FOLDER, help="Folder of SST-2's train.tsv and dev.tsv.")
@click.option("--bundle", required=True, type=_FOLDER, help="EdgeBERT's, of the same checkpoint.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The JSON file to write.")
@click.option("--peers", metavar="A,B", help="These only.  [default: all]")
@click.option("--texts", type=click.IntRange(8), metavar="N", help="The first N of dev.tsv.  [default: all]")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Turns of each peer.")
@click.option("--starts", type=click.IntRange(1), default=5, show_default=True, help="Fresh processes of each peer.")
@click.option("--repeat", type=click.IntRange(1), default=10, show_default=True, help="Bulk: times the texts.")
@click.option("--threads", type=click.IntRange(1), help="Of every peer.  [default: one per physical core]")
@click.option(
    "--envs", type=click.Path(file_okay=False, path_type=Path, resolve_path=True), default=".venvs/peers",
    show_default=True, help="Where environments and files of peers are kept.",
)  # fmt: skip
def main(
    checkpoint: Path,
    data: Path,
    bundle: Path,
    out: Path,
    peers: str | None,
    texts: int | None,
    rounds: int,
    starts: int,
    repeat: int,
    threads: int | None,
    envs: Path,
) -> None:
    """Measure EdgeBERT and its peers, in environments of their own, in turns."""
    signal.signal(signal.SIGTERM, _end)  # so that stopped workers end, too
    try:
        result = measure(
            checkpoint, data, bundle, out, peers, texts, Plan(rounds, starts, repeat), threads, envs, report=_say
        )
    except EdgebertError as error:
        click.echo(f"Error: {error.message}\nHint: {error.hint}".removesuffix("\nHint: "), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    click.echo(table(result))
    sys.exit(INCOMPLETE if any("not_measured" in own for own in result["peers"].values()) else 0)


def measure(
    checkpoint: Path,
    data: Path,
    bundle: Path,
    out: Path,
    names: str | None,
    limit: int | None,
    plan: Plan,
    threads: int | None,
    envs: Path,
    *,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Do it all, and return what was written to ``out``. Parameters as on the command line.

    Raises:
        EdgebertError: the inputs are not usable, nothing could be measured, or the result cannot be written.
    """
    manifest = open_bundle(bundle).manifest
    check_checkpoint(checkpoint)
    catalogue = peers_of(manifest)
    chosen = choose(catalogue, names)
    texts = read_texts(data, (checkpoint / "tokenizer.json").read_bytes(), manifest.task.labels, limit)
    threads = threads or describe_machine().physical_cores
    if not out.resolve().parent.is_dir():
        raise OutputError(f"Cannot write '{out}': there is no folder {out.parent}.", hint="Create the folder first.")
    environments = Environments(envs, report)
    files = Files(envs / "files", checkpoint, data, bundle, environments, threads, report)
    started, before = datetime.now(timezone.utc), load_average()
    commands, missing = _prepare(chosen, catalogue, environments, files, threads)
    bench = Bench(
        lambda name: Worker(name, *commands[name]),
        {peer.name: peer.batch_sizes for peer in chosen if peer.name in commands},
        texts,
        plan,
        report,
    )
    bench.run()
    missing |= bench.failed
    if not bench.measured:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in missing.items())
        raise BackendError(f"No peer could be measured:{reasons}\n", hint="See README.md of benchmarks/peers.")
    figures = {name: summarize(found, texts) for name, found in bench.measured.items()}
    noise = _noise(before, {name: one["idle_cpu_seconds"] for name, one in figures.items()})
    result = {
        "format": FORMAT,
        "created": started.isoformat(timespec="seconds"),
        "noise": noise,
        "commit": commit(REPOSITORY),
        "machine": machine_facts(),
        "load_average": {"before": before, "after": load_average()},
        "threads": threads,
        "plan": {
            "rounds": plan.rounds, "starts": plan.starts, "repeat": plan.repeat, "seed": plan.seed,
            "orders": bench.orders, "warm_up_texts": WARM_UP_TEXTS, "served_texts": SERVED_TEXTS,
            "trial_texts": TRIAL_TEXTS,
        },
        "texts": {"count": len(texts.texts), "tokens": sum(texts.tokens), "sha256": texts.sha256},
        "checkpoint": {"name": checkpoint.name, "sha256": sha256(checkpoint / "model.safetensors")},
        "bundle": {"name": bundle.name, "sha256": sha256(bundle / "manifest.json")},
        "environments": {
            name: environments.installed(name) for name in _used(chosen, commands) if environments.exists(name)
        },
        "peers": {
            peer.name: {"kind": peer.kind}
            | (figures[peer.name] if peer.name in figures else {"not_measured": missing[peer.name]})
            for peer in chosen
        },
        "comparison": compare(figures, chosen),
        "roofline": _roofline(environments, chosen, figures, manifest, checkpoint, texts, threads, report),
    }  # fmt: skip
    write(out, json.dumps(result, indent=1) + "\n")
    return result


def _prepare(
    chosen: Sequence[Peer], catalogue: Sequence[Peer], environments: Environments, files: Files, threads: int
) -> tuple[dict[str, tuple[list[str], dict[str, str]]], dict[str, str]]:
    """How to start each peer, with its variables; and why some cannot be started."""
    by_name = {peer.name: peer for peer in catalogue}
    commands, missing = {}, {}
    for peer in chosen:
        try:
            python = environments.python(peer.environment)
            made = files.of(peer, by_name)
        except BackendError as error:
            missing[peer.name] = error.message
            continue
        path = REPOSITORY if peer.kind == OURS else None
        command = worker_command(python, peer.module, peer.variant, made, threads)
        commands[peer.name] = (command, clean_environment(threads, path))
    return commands, missing


def _roofline(
    environments: Environments,
    chosen: Sequence[Peer],
    figures: dict[str, dict[str, Any]],
    manifest: Manifest,
    checkpoint: Path,
    texts: Texts,
    threads: int,
    report: Callable[[str], None],
) -> dict[str, Any]:
    ours = {peer.name: figures[peer.name] for peer in chosen if peer.kind == OURS and peer.name in figures}
    if not ours:
        return {"not_measured": "EdgeBERT was not measured"}
    report("matrix products")
    try:
        rates = measure_rates(environments.python("export"), texts, threads)
    except BackendError as error:
        return {"not_measured": error.message}
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    return {"rates": rates, **shares(rates, ours, manifest, config, texts)}


def _used(chosen: Sequence[Peer], commands: dict[str, Any]) -> list[str]:
    measured = [peer for peer in chosen if peer.name in commands]
    return sorted({name for peer in measured for name in (peer.environment, peer.preparing) if name})


def _noise(before: tuple[float, float, float] | None, idle: dict[str, float]) -> list[str]:
    """Why the figures are not to be trusted, a sentence each."""
    told = []
    if before is not None and before[0] > MAX_IDLE_LOAD * describe_machine().logical_cores:
        told.append(f"the load average was {before[0]:.2f} before the run: something else runs, or just ran")
    told += [f"{name} took {seconds:.2f} s while others worked" for name, seconds in idle.items() if seconds > 0.1]
    return told


def _say(line: str) -> None:
    click.echo(line, err=True)


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
