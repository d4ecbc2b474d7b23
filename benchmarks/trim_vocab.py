"""What trimming the vocabulary costs a sentiment model: sizes, changed tokenizations, labels and accuracy.

    python benchmarks/trim_vocab.py --checkpoint distilbert-cased-sst2 --data sst2 --out trim-vocab.json

Trims with ``edgebert trim-vocab`` once for each point of :data:`POINTS`, and answers SST-2's development set with the
checkpoint and with each result: transformers in float32, one text at a time, so that the bits can be compared. The
development set is held out: no label and no text of it is used for trimming.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

from edgebert.devices import describe_machine

POINTS: dict[str, list[str]] = {
    "min-count 1": ["--texts", "train.tsv"],
    "min-count 4": ["--texts", "train.tsv", "--min-count", "4"],
    "min-count 14": ["--texts", "train.tsv", "--min-count", "14"],
    "size 7500": ["--texts", "train.tsv", "--size", "7500"],
    "size 7500, sentences": ["--texts", "sentences.tsv", "--size", "7500"],
}
"""Name -> options. ``sentences.tsv`` are the texts of ``train.tsv`` that stand in no other one: it holds the parts of
each sentence as well, so that a word deep in a sentence counts many times."""


def read(path: Path) -> list[tuple[str, int]]:
    """The sentences and labels of a file of GLUE's SST-2."""
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    return [(text, int(label)) for text, _, label in (line.rpartition("\t") for line in lines if line)]


def sentences(texts: list[str]) -> list[str]:
    """The texts that are not a part of another one, the longest first."""
    found: list[str] = []
    holding: dict[str, list[str]] = {}
    for text in sorted(set(texts), key=lambda text: (-len(text), text)):
        padded = f" {text.strip()} "
        words = text.split()
        rarest = min((holding.get(word, []) for word in words), key=len, default=[])
        if any(padded in other for other in rarest):
            continue
        found.append(text)
        for word in set(words):
            holding.setdefault(word, []).append(padded)
    return found


class Model:
    """A checkpoint and its tokenizer."""

    def __init__(self, path: Path) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))

    def answer(self, text: str) -> tuple[list[str], torch.Tensor]:
        """Tokens, and float32 logits [labels]."""
        encoding = self.tokenizer.encode(text)
        with torch.inference_mode():
            return encoding.tokens, self.model(input_ids=torch.tensor([encoding.ids])).logits[0]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder with SST-2's train.tsv and dev.tsv")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dev = read(arguments.data / "dev.tsv")
    original = Model(arguments.checkpoint)
    answers = [original.answer(text) for text, _ in dev]
    right = sum(int(logits.argmax()) == label for (_, logits), (_, label) in zip(answers, dev, strict=True))
    points = []
    with tempfile.TemporaryDirectory() as scratch:
        corpus = sentences([text for text, _ in read(arguments.data / "train.tsv")])
        Path(scratch, "sentences.tsv").write_text("\n".join(["sentence", *corpus]) + "\n", encoding="utf-8")
        folders = {"sentences.tsv": Path(scratch), "train.tsv": arguments.data}
        for name, options in POINTS.items():
            out = Path(scratch, "trimmed-" + name.replace(" ", "-").replace(",", ""))
            filled = [str((folders[option] / option).absolute()) if option in folders else option for option in options]
            command = ["trim-vocab", str(arguments.checkpoint.absolute()), *filled, "-o", str(out)]
            command += ["--held-out", str((arguments.data / "dev.tsv").absolute()), "--json", "--quiet"]
            started = time.monotonic()
            done = subprocess.run([sys.executable, "-m", "edgebert", *command], stdout=subprocess.PIPE, check=True)
            seconds = time.monotonic() - started
            point = measure(name, options, json.loads(done.stdout), answers, dev, Model(out))
            points.append({**point, "seconds": round(seconds, 1)})
            print(json.dumps(points[-1]), flush=True)
    result = {
        "checkpoint": arguments.checkpoint.name,
        "machine": {"cpu": describe_machine().model, "threads": 1},
        "evaluation": {"path": "dev.tsv", "texts": len(dev), "right": right, "accuracy": right / len(dev)},
        "sentences": len(corpus),
        "points": points,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(
    name: str,
    options: list[str],
    report: dict[str, Any],
    answers: list[tuple[list[str], torch.Tensor]],
    dev: list[tuple[str, int]],
    trimmed: Model,
) -> dict[str, Any]:
    """One point: what was trimmed, and how its answers compare."""
    same_tokens = same_labels = same_bits = moved = right = 0
    for (tokens, before), (text, label) in zip(answers, dev, strict=True):
        now, after = trimmed.answer(text)
        right += int(after.argmax()) == label
        equal = int(after.argmax()) == int(before.argmax())
        if now == tokens:
            same_tokens += 1
            same_labels += equal
            same_bits += torch.equal(before, after)
        else:
            moved += not equal
    (parameters, fewer) = report["parameters"]
    return {
        "name": name,
        "command": [
            "edgebert",
            "trim-vocab",
            "distilbert-cased-sst2",
            *options,
            "--held-out",
            "dev.tsv",
            "-o",
            "trimmed",
        ],
        "vocabulary": report["vocabulary"],
        "kept": report["kept"],
        "parameters": report["parameters"],
        "float32_bytes": [4 * parameters, 4 * fewer],
        "smaller": round(1 - fewer / parameters, 4),
        "stored_bytes": report["stored_bytes"],
        "held_out": report["changes"],
        "accuracy": right / len(dev),
        "right": right,
        "texts_with_the_same_tokens": same_tokens,
        "of_these_with_the_same_label": same_labels,
        "of_these_with_the_same_bits": same_bits,
        "other_texts_with_another_label": moved,
        "versions": report["versions"],
    }


if __name__ == "__main__":
    main()
