"""The results: as JSON with provenance, and as a table for people."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgebert.bundle.output import output_error
from harness.catalogue import FRAMEWORK, OURS, REFERENCE, SCRIPT, Peer
from harness.summary import best, ratios

FORMAT = "edgebert-peers/1"
_MIB = 1024 * 1024


def compare(figures: Mapping[str, dict[str, Any]], peers: Sequence[Peer]) -> dict[str, Any]:
    """Ratios of every measured peer to EdgeBERT, and which peers are the best of their kind.

    Args:
        figures: of the peers that were measured.
        peers: all that were to be measured.
    """
    of_kind = {kind: [peer.name for peer in peers if peer.kind == kind] for kind in (FRAMEWORK, SCRIPT, OURS)}
    told: dict[str, Any] = {"best": {kind: best(figures, names) for kind, names in of_kind.items()}}
    if REFERENCE in figures:
        told["reference"] = REFERENCE
        told["ratios"] = {name: ratios(own, figures[REFERENCE]) for name, own in figures.items() if name != REFERENCE}
    return told


def commit(repository: Path) -> str | None:
    """The commit of the working tree, with ``+changes`` if files differ from it; ``None`` outside a repository."""
    said = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "edgebert"]):
        try:
            done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True)
        except OSError:
            return None
        if done.returncode != 0:
            return None
        said.append(done.stdout.strip())
    return said[0] + ("+changes" if said[1] else "")


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise output_error(error, path) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise output_error(error, path) from error
    finally:
        Path(name).unlink(missing_ok=True)


def table(result: Mapping[str, Any]) -> str:
    """The figures in Markdown; ratios to EdgeBERT in brackets, above 1 where EdgeBERT is better."""
    lines = [
        "| peer | batch 1: p50 ms | p95 ms | bulk: texts/s (batch) | accuracy alone / bulk | differ "
        "| first answer ms | peak MiB |",
        "|" + "---|" * 8,
    ]
    known = result["comparison"].get("ratios", {})
    for name, own in result["peers"].items():
        if "not_measured" in own:
            lines.append(f"| {name} | not measured: {own['not_measured']} |" + " |" * 6)
            continue
        ratio = known.get(name, {})
        answered, memory = own["answers"], own["peak_rss_bytes"]
        cells = [
            f"{own['latency_ms']['p50']:.2f}{_told(ratio, 'latency')}",
            f"{own['latency_ms']['p95']:.2f}",
            f"{own['texts_per_second']['median']:.0f} ({own['batch_size']}){_told(ratio, 'throughput')}",
            f"{answered['accuracy_alone']:.4f} / {answered['accuracy_bulk']:.4f}",
            str(answered["labels_that_differ"]),
            f"{own['first_answer_ms']['median']:.0f}{_told(ratio, 'first_answer')}",
            "unknown" if memory is None else f"{memory['median'] / _MIB:.0f}{_told(ratio, 'peak_rss')}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for kind, found in result["comparison"]["best"].items():
        if found:
            lines.append(f"\nbest {kind}: " + ", ".join(f"{figure} {name}" for figure, name in found.items()))
    for name, reached in result["roofline"].get("shares", {}).items():
        lines.append(
            f"\n{name} in bulk: {reached['model']:.0%} of the rate of matrix products at the model's shapes, "
            f"{reached['large']:.0%} of that at large ones ({reached['arithmetic']})"
        )
    if result["noise"]:
        lines.append("\nNOISY: " + "; ".join(result["noise"]))
    return "\n".join(lines)


def _told(ratio: Mapping[str, Any], figure: str) -> str:
    if figure not in ratio:
        return ""
    low, high = ratio[figure]["range"]
    return f" [{ratio[figure]['median']:.2f}, {low:.2f} to {high:.2f}]"
