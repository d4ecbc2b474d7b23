"""Three ways to choose a cascade's threshold: what each loses on texts that it did not see.

    python benchmarks/cascade_rules.py small.edgebert big.edgebert --eval dev.tsv --artifact onnx-int8 --out rules.json

The evaluation file is halved 200 times; each time a threshold is chosen on one half and measured on the other. ``lost``
is the rule of ``edgebert cascade``: at most ``--max-drop`` of the texts are ones that the bigger model answers rightly
and the cascade does not. The other two count the drop of accuracy, in which texts that the small model alone answers
rightly make up for lost ones: ``drop`` takes the lowest threshold at and above which it is at most ``--max-drop``,
``lowest`` the lowest of all.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgebert
from edgebert.bundle import open_bundle
from edgebert.compress.cascade.fit import fit_threshold, halves
from edgebert.convert.evaluation.texts import load_eval
from edgebert.runtime.cascade import confidence

SPLITS = 200

Bools = NDArray[np.bool_]
Rule = Callable[[NDArray[np.float64], Bools, Bools, float], float]


def logits(bundle: Path, artifact: str, texts: list[Any]) -> NDArray[np.float32]:
    """What an artifact answers: float32 [texts, labels]."""
    with edgebert.load(bundle, artifact=artifact, strict=True) as model:
        place = {label: index for index, label in enumerate(model.labels)}
        rows = np.empty((len(texts), len(place)), np.float32)
        answers = model.stream(texts, top_k=None, function_to_apply="none")
        for row, entries in zip(rows, answers, strict=True):
            for entry in entries:
                row[place[entry["label"]]] = entry["score"]
    return rows


def by_drop(*, everywhere: bool) -> Rule:
    """The rules ``drop`` and ``lowest``."""

    def rule(sure: NDArray[np.float64], small: Bools, big: Bools, max_drop: float) -> float:
        order = np.argsort(-sure, kind="stable")
        ranked = sure[order]
        allowed = np.cumsum(big[order].astype(int) - small[order].astype(int)) <= max_drop * len(order) + 1e-9
        if everywhere:
            count = len(allowed) if allowed.all() else int(np.argmin(allowed))
        else:
            count = int(np.flatnonzero(allowed).max(initial=-1)) + 1
        if count == 0:
            return 1.0
        return float(ranked[-1] if count == len(ranked) else (ranked[count - 1] + ranked[count]) / 2)

    return rule


RULES: dict[str, Rule] = {
    "lost": fit_threshold,
    "drop": by_drop(everywhere=True),
    "lowest": by_drop(everywhere=False),
}


def main() -> None:
    """Measure, write the results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("small", type=Path)
    parser.add_argument("big", type=Path)
    parser.add_argument("--eval", type=Path, required=True, metavar="FILE")
    parser.add_argument("--artifact", default="onnx-int8", metavar="ID")
    parser.add_argument("--max-drop", type=float, default=0.003, metavar="X")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    labels = open_bundle(arguments.small).manifest.task.labels
    data = load_eval(arguments.eval, labels, problem_type="single_label_classification")
    right = np.array(data.labels)
    small, big = (logits(path, arguments.artifact, data.inputs) for path in (arguments.small, arguments.big))
    sure, own, other = confidence(small, 1.0), small.argmax(axis=1) == right, big.argmax(axis=1) == right
    results = {}
    for name, rule in RULES.items():
        shares, drops = [], []
        for seed in range(SPLITS):
            fit, held = halves(len(right), seed)
            unsure = sure[held] < rule(sure[fit], own[fit], other[fit], arguments.max_drop)
            shares.append(float(unsure.mean()))
            drops.append(float(other[held].mean() - np.where(unsure, other[held], own[held]).mean()))
        kept = float(np.mean(np.array(drops) <= arguments.max_drop + 1e-9))
        results[name] = {
            "escalated": float(np.mean(shares)),
            "drop": float(np.mean(drops)),
            "drop_deviation": float(np.std(drops)),
            "within_max_drop": kept,
        }
        points, spread = 100 * np.mean(drops), 100 * np.std(drops)
        print(f"| `{name}` | {np.mean(shares):.1%} | {points:+.2f} | {spread:.2f} | {kept:.0%} |")
    facts = {
        "what": "rules for the threshold of a cascade; see benchmarks/cascade_rules.py",
        "artifact": arguments.artifact,
        "max_drop": arguments.max_drop,
        "splits": SPLITS,
        "texts": {"file": arguments.eval.name, "sha256": data.sha256, "count": len(right)},
        "accuracy": {"small": float(own.mean()), "big": float(other.mean())},
        "rules": results,
    }
    arguments.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
