"""Several bundles on this machine, side by side: size, latency per length, latency on texts, accuracy.

    python benchmarks/side_by_side.py --eval dev.tsv --out results.json big=big.edgebert:onnx-int8 small=s.edgebert

A model is a name, a bundle, and the artifacts of it to measure (all that run here, if none is named). Each is measured
as ``edgebert bench`` does it, in a fresh process per round, all in random order in every round, so that what changes
slowly on the machine hits all alike. Ratios are taken within a round. ``--held-out SEED`` measures on the half of the
evaluation file that ``edgebert cascade --seed SEED`` did not fit on.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import edgebert
from edgebert.assets import calibration_texts
from edgebert.bench.inputs import text_of_length
from edgebert.bench.launch import run_worker
from edgebert.bench.process import load_average
from edgebert.bench.trial import Job, Trial
from edgebert.bundle import open_bundle
from edgebert.compress.cascade.fit import halves
from edgebert.convert.evaluation.texts import load_eval
from edgebert.convert.machine import machine_facts
from edgebert.devices import describe_machine, find_runtimes
from edgebert.runtime.selection import rank
from edgebert.runtime.tasks import open_task
from edgebert.runtime.tokenization import TextTokenizer


@dataclass(frozen=True)
class Candidate:
    """An artifact of a bundle, under a name."""

    model: str
    bundle: Path
    artifact: str

    @property
    def name(self) -> str:
        """As the results call it."""
        return f"{self.model} {self.artifact}"


def candidates(spec: str) -> list[Candidate]:
    """What ``name=bundle:artifact,artifact`` names."""
    name, _, rest = spec.partition("=")
    path, _, artifacts = rest.partition(":")
    ranked = rank(open_bundle(path).manifest, describe_machine(), find_runtimes())
    able = [one.artifact.id for one in ranked if one.runtime is not None]
    return [Candidate(name, Path(path), artifact) for artifact in artifacts.split(",") if artifact] or [
        Candidate(name, Path(path), artifact) for artifact in able
    ]


def inputs(bundle: Path, lengths: list[int]) -> list[str]:
    """A text of each length in tokens, of the bundle's own tokenizer."""
    opened = open_bundle(bundle)
    tokenizer = TextTokenizer(opened.read(opened.manifest.tokenizer.file), max_length=max(lengths))
    task = open_task(opened.manifest.task)
    return [text_of_length(task, tokenizer, calibration_texts(), length) for length in lengths]


def answers(one: Candidate, texts: list[Any], labels: list[int]) -> dict[str, Any]:
    """Accuracy on the texts, and the share that a cascade escalates."""
    with edgebert.load(one.bundle, artifact=one.artifact, strict=True) as model:
        stream = model.stream(texts)
        right = [model.labels.index(result["label"]) == label for result, label in zip(stream, labels, strict=True)]
        return {"accuracy": float(np.mean(right)), "right": sum(right), "escalated": stream.escalations.share}


def disk_bytes(one: Candidate) -> int:
    """The artifact's files; of a cascade with those of the same artifact behind it."""
    opened = open_bundle(one.bundle)
    size = sum(ref.size for ref in opened.manifest.artifact(one.artifact).files)
    cascade = opened.manifest.cascade
    return size + (disk_bytes(Candidate("", one.bundle / cascade.bundle, one.artifact)) if cascade else 0)


def main() -> None:
    """Measure, write the results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="+", metavar="NAME=BUNDLE[:ARTIFACT,...]", help="the first one is the reference"
    )
    parser.add_argument("--eval", type=Path, required=True, metavar="FILE", help="texts with right answers")
    parser.add_argument("--held-out", type=int, metavar="SEED", help="use the half that a cascade was not fitted on")
    parser.add_argument("--timed", type=int, metavar="N", help="time the first N texts alone (accuracy: all of them)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 128], metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--repetitions", type=int, default=30, metavar="N")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    chosen = [one for spec in arguments.models for one in candidates(spec)]
    labels = open_bundle(chosen[0].bundle).manifest.task.labels
    data = load_eval(arguments.eval, labels, problem_type="single_label_classification")
    places = range(len(data.inputs)) if arguments.held_out is None else halves(len(data.inputs), arguments.held_out)[1]
    texts, right = [data.inputs[place] for place in places], [data.labels[place] for place in places]
    timed = texts[: arguments.timed]
    made = {one.bundle: inputs(one.bundle, arguments.lengths) for one in chosen}
    before = load_average()
    rounds: list[dict[str, Any]] = []
    for number in range(arguments.rounds):
        row: dict[str, Any] = {}
        for one in random.Random(number).sample(chosen, len(chosen)):
            print(f"round {number + 1} of {arguments.rounds}: {one.name}", file=sys.stderr, flush=True)
            job = Job(str(one.bundle), one.artifact, None, arguments.repetitions, made[one.bundle], timed, timed)
            trial = run_worker(job)
            if not isinstance(trial, Trial):
                sys.exit(f"{one.name}: {trial}")
            row[one.name] = {
                "p50_ms": {
                    str(n): statistics.median(t) for n, t in zip(arguments.lengths, trial.latencies_ms, strict=True)
                },
                "texts_mean_ms": statistics.mean(trial.sample_ms),
                "texts_p50_ms": statistics.median(trial.sample_ms),
                "texts_per_second": len(timed) / trial.stream_seconds,
                "peak_rss_bytes": trial.peak_rss,
                "runtime": f"{trial.facts.distribution} {trial.facts.version}",
                "threads": trial.facts.threads,
            }
        rounds.append(row)
    after = load_average()
    result = {
        "what": "bundles side by side; see benchmarks/side_by_side.py",
        "models": {
            one.name: {"bundle": one.bundle.name, "artifact_bytes": disk_bytes(one), **answers(one, texts, right)}
            for one in chosen
        },
        "medians": {one.name: summary(one.name, chosen[0].name, rounds) for one in chosen},
        "texts": {
            "file": arguments.eval.name,
            "sha256": data.sha256,
            "count": len(texts),
            "held_out_seed": arguments.held_out,
        },
        "machine": machine_facts(),
        "load_average": {"before": before, "after": after},
        "versions": {name: metadata.version(name) for name in ("edgebert", "numpy", "tokenizers")}
        | {"python": platform.python_version()},
        "rounds": rounds,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


def summary(name: str, reference: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds, and of the ratios to the reference within a round, with the least and the largest."""

    def values(key: str, length: str | None = None) -> tuple[list[float], list[float]]:
        def pick(row: dict[str, Any]) -> float:
            return float(row[key] if length is None else row[key][length])

        own = [pick(row[name]) for row in rounds]
        return own, [one / pick(row[reference]) for one, row in zip(own, rounds, strict=True)]

    def told(own: list[float], ratios: list[float]) -> dict[str, Any]:
        return {
            "median": statistics.median(own),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
        }

    return {
        "p50_ms": {length: told(*values("p50_ms", length)) for length in rounds[0][name]["p50_ms"]},
        **{key: told(*values(key)) for key in ("texts_mean_ms", "texts_p50_ms", "texts_per_second")},
        "peak_rss_bytes": statistics.median(row[name]["peak_rss_bytes"] or 0 for row in rounds),
    }


def table(result: dict[str, Any]) -> str:
    """The medians in Markdown, with their ratios to the first model."""
    lengths = list(next(iter(result["medians"].values()))["p50_ms"])
    lines = [
        "| model | MB | "
        + " | ".join(f"p50 ms, {n} tokens" for n in lengths)
        + " | texts, mean ms | texts/s | accuracy |"
    ]
    lines.append("|" + "---|" * (len(lengths) + 5))
    for name, median in result["medians"].items():
        model = result["models"][name]
        cells = [f"{median['p50_ms'][n]['median']:.2f} ({median['p50_ms'][n]['ratio']:.2f})" for n in lengths]
        mean, rate = median["texts_mean_ms"], median["texts_per_second"]
        low, high = mean["ratio_range"]
        cells.append(f"{mean['median']:.2f} ({mean['ratio']:.2f}, {low:.2f} to {high:.2f})")
        cells.append(f"{rate['median']:.0f} ({rate['ratio']:.2f})")
        escalated = f", {model['escalated']:.1%} escalated" if model["escalated"] else ""
        cells.append(f"{model['accuracy']:.4f}{escalated}")
        lines.append(f"| {name} | {model['artifact_bytes'] / 1e6:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
